// The model plan of a folder: which layers, and everything beside them.
#include <fmt/format.h>

#include "cross/error.h"
#include "model/bert/bert.h"
#include "model/bert/config.h"
#include "model/bert/names.h"
#include "model/blueprint_builder.h"
#include "model/tokenizer/read_word_piece.h"

namespace cross::model::bert {
namespace {

/// Models with a head on top keep the encoder under "bert."
std::string prefix_of(const Model& model) {
  const bool below =
      model.find(word_table) == nullptr && model.find(std::string("bert.") + word_table) != nullptr;
  return below ? "bert." : "";
}

/// Scale and shift; old checkpoints call them gamma and beta.
void add_norm(BlueprintBuilder& builder, const std::string& name, std::int64_t size) {
  const bool old = !builder.has(name + ".weight") && builder.has(name + ".gamma");
  builder.vector(name + ".weight", size, name + (old ? ".gamma" : ".weight"));
  builder.vector(name + ".bias", size, name + (old ? ".beta" : ".bias"));
}

void add_layer(BlueprintBuilder& builder, const Config& config, std::int64_t i) {
  const std::int64_t hidden = config.hidden, inner = config.intermediate;
  builder.layer(in_layer(i, query_key_value),
                {in_layer(i, "attention.self.query"), in_layer(i, "attention.self.key"),
                 in_layer(i, "attention.self.value")},
                {hidden, hidden, hidden}, hidden, true);
  builder.layer(in_layer(i, attention_output), {in_layer(i, attention_output)}, {hidden}, hidden, true);
  builder.layer(in_layer(i, feed_forward_up), {in_layer(i, feed_forward_up)}, {inner}, hidden, true);
  builder.layer(in_layer(i, feed_forward_down), {in_layer(i, feed_forward_down)}, {hidden}, inner, true);
  add_norm(builder, in_layer(i, attention_norm), hidden);
  add_norm(builder, in_layer(i, output_norm), hidden);
}

}  // namespace

Blueprint make_blueprint(const Model& model, const nlohmann::json& config_json, DType dtype) {
  const Config config = read_config(config_json, model.path());
  BlueprintBuilder builder(model, dtype, prefix_of(model));
  builder.table(word_table, config.vocabulary, config.hidden);
  builder.table(position_table, config.positions, config.hidden);
  builder.table(type_table, config.types, config.hidden);
  add_norm(builder, embedding_norm, config.hidden);
  for (std::int64_t i = 0; i < config.layers; ++i) add_layer(builder, config, i);
  const WordPiece tokenizer = read_word_piece(model.path());
  if (static_cast<std::int64_t>(tokenizer.vocabulary().size()) > config.vocabulary)
    throw InputError(fmt::format("{}: the tokeniser has {} tokens, \"vocab_size\" in config.json is {}",
                                 model.path().string(), tokenizer.vocabulary().size(), config.vocabulary));
  builder.bytes(vocabulary, vocabulary_text(tokenizer));
  return builder.build(
      nlohmann::json{{"config", describe(config)}, {"tokenizer", describe(tokenizer.rules())}}.dump());
}

}  // namespace cross::model::bert
