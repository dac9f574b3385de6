// The model plan of a folder: which layers, and everything beside them.
#include <fmt/format.h>

#include "cross/error.h"
#include "model/blueprint_builder.h"
#include "model/llama/config.h"
#include "model/llama/llama.h"
#include "model/llama/names.h"
#include "model/tokenizer/tokenizer.h"

namespace cross::model::llama {
namespace {

void add_layer(BlueprintBuilder& builder, const Config& c, std::int64_t i) {
  builder.layer(
      in_layer(i, query_key_value),
      {in_layer(i, "self_attn.q_proj"), in_layer(i, "self_attn.k_proj"), in_layer(i, "self_attn.v_proj")},
      {c.query_rows(), c.key_value_rows(), c.key_value_rows()}, c.hidden, c.attention_bias);
  builder.layer(in_layer(i, attention_output), {in_layer(i, attention_output)}, {c.hidden}, c.query_rows(),
                c.output_bias);
  builder.layer(in_layer(i, gate_and_up), {in_layer(i, "mlp.gate_proj"), in_layer(i, "mlp.up_proj")},
                {c.intermediate, c.intermediate}, c.hidden, c.feed_forward_bias);
  builder.layer(in_layer(i, down), {in_layer(i, down)}, {c.hidden}, c.intermediate, c.feed_forward_bias);
  for (const char* norm : {attention_norm, feed_forward_norm})
    builder.vector(in_layer(i, norm), c.hidden, in_layer(i, norm));
}

/// The tokeniser's part of the description; null for a folder without one: such a plan takes token ids alone.
nlohmann::json add_tokenizer(BlueprintBuilder& builder, const std::filesystem::path& folder,
                             std::int64_t vocabulary) {
  const auto tokenizer = read_tokenizer(folder);
  if (!tokenizer) return nullptr;
  if (tokenizer->size() > vocabulary)
    throw InputError(fmt::format("{}: the tokeniser has {} tokens, \"vocab_size\" in config.json is {}",
                                 folder.string(), tokenizer->size(), vocabulary));
  StoredTokenizer stored = tokenizer->stored();
  for (PlanTensor& tensor : stored.tensors) builder.tensor(std::move(tensor));
  return std::move(stored.description);
}

}  // namespace

Blueprint make_blueprint(const Model& model, const nlohmann::json& config_json, DType dtype) {
  const Config config = read_config(config_json, model.path());
  BlueprintBuilder builder(model, dtype);
  for (std::int64_t i = 0; i < config.layers; ++i) add_layer(builder, config, i);
  // A tied table is stored once, as the output layer; rows that are looked up are decoded from it.
  if (!config.tied) builder.table(word_table, config.vocabulary, config.hidden);
  builder.layer(output, {config.tied ? word_layer : output}, {config.vocabulary}, config.hidden, false);
  builder.vector(final_norm, config.hidden, final_norm);
  nlohmann::json description = {{"config", describe(config)}};
  if (nlohmann::json tokenizer = add_tokenizer(builder, model.path(), config.vocabulary);
      !tokenizer.is_null())
    description["tokenizer"] = std::move(tokenizer);
  return builder.build(description.dump());
}

}  // namespace cross::model::llama
