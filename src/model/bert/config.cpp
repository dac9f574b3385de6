#include "model/bert/config.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/json_fields.h"
#include "base/quote.h"
#include "base/strict_json.h"
#include "cross/error.h"
#include "io/text_file.h"

namespace cross::model::bert {
namespace {

using base::Fields;
using nlohmann::json;

constexpr std::int64_t most = 1 << 24;

struct NamedActivation {
  const char* name;  ///< as config.json has it
  Activation activation;
};
constexpr NamedActivation activations[] = {{"gelu", Activation::gelu},
                                           {"gelu_new", Activation::gelu_tanh},
                                           {"gelu_pytorch_tanh", Activation::gelu_tanh},
                                           {"relu", Activation::relu},
                                           {"silu", Activation::silu},
                                           {"swish", Activation::silu}};

void check_sizes(const Fields& fields, const char* heads, const Config& config) {
  if (config.hidden % config.heads != 0)
    fields.wrong(heads, config.heads, fmt::format("a divisor of the hidden size {}", config.hidden));
}

/// One JSON file of the folder, if it is there.
json read_json(const std::filesystem::path& path) {
  const auto text = io::read_text_if_there(path);
  return text ? base::parse_strict_json(*text, path.string()) : json();
}

/// "1_Pooling" and the like: a folder beside the others.
bool is_plain_folder(const std::string& path) {
  return !path.empty() && path != "." && path != ".." && path.find_first_of("/\\") == std::string::npos;
}

void read_pooling(const std::filesystem::path& path, Config& config) {
  const json root = read_json(path);
  if (root.is_null()) throw InputError(path.string() + ": is missing, modules.json names its folder");
  const Fields fields(root, path.string());
  std::string mode;  // the only one that is switched on
  for (const char* name : {"cls_token", "mean_tokens", "max_tokens", "mean_sqrt_len_tokens",
                           "weightedmean_tokens", "lasttoken"}) {
    const std::string field = std::string("pooling_mode_") + name;
    if (!fields.has(field.c_str()) || !fields.boolean(field.c_str())) continue;
    if (!mode.empty())
      fields.wrong(field.c_str(), true, "false, as only one kind of pooling is supported at once");
    mode = name;
  }
  if (fields.has("pooling_mode"))
    mode = fields.text("pooling_mode") == "cls" ? "cls_token" : fields.text("pooling_mode") + "_tokens";
  if (mode != "mean_tokens" && mode != "cls_token")
    throw InputError(fmt::format("{}: the kind of pooling is {}; mean_tokens and cls_token are supported",
                                 path.string(), base::in_quotes(mode)));
  config.pooling = mode == "mean_tokens" ? Pooling::mean : Pooling::cls;
}

/// What sentence-transformers adds to a model: a list of modules that run one after the other.
void read_modules(const std::filesystem::path& folder, Config& config) {
  const std::string name = (folder / "modules.json").string();
  const json modules = read_json(folder / "modules.json");
  if (modules.is_null()) return;
  if (!modules.is_array()) throw InputError(name + ": must be an array of modules");
  for (const json& entry : modules) {
    const Fields fields(entry, name + ": a module");
    const std::string type = fields.text("type");
    const std::string kind = type.substr(type.rfind('.') + 1);
    if (kind == "Transformer") continue;
    if (kind == "Normalize") {
      config.normalised = true;
    } else if (kind == "Pooling") {
      const std::string path = fields.text("path");
      if (!is_plain_folder(path)) fields.wrong("path", path, "the name of a folder beside modules.json");
      read_pooling(folder / path / "config.json", config);
    } else {
      fields.wrong("type", type, "Transformer, Pooling or Normalize: other modules are not supported");
    }
  }
}

}  // namespace

Config read_config(const json& root, const std::filesystem::path& folder) {
  const Fields fields(root, (folder / "config.json").string());
  Config config;
  config.layers = fields.integer("num_hidden_layers", 1, 1024);
  config.hidden = fields.integer("hidden_size", 1, most);
  config.heads = fields.integer("num_attention_heads", 1, config.hidden);
  config.intermediate = fields.integer("intermediate_size", 1, most);
  config.vocabulary = fields.integer("vocab_size", 1, most);
  config.positions = fields.integer("max_position_embeddings", 2, most);
  config.types = fields.integer("type_vocab_size", 1, most);
  config.epsilon = fields.number("layer_norm_eps");
  check_sizes(fields, "num_attention_heads", config);
  const std::string activation = fields.text("hidden_act");
  const auto found = std::find_if(std::begin(activations), std::end(activations),
                                  [&](const NamedActivation& row) { return row.name == activation; });
  if (found == std::end(activations))
    fields.wrong("hidden_act", activation, "gelu, gelu_new, gelu_pytorch_tanh, relu, silu or swish");
  config.activation = found->activation;
  if (fields.has("position_embedding_type") && fields.text("position_embedding_type") != "absolute")
    fields.wrong("position_embedding_type", fields.at("position_embedding_type"), "\"absolute\"");
  if (fields.has("is_decoder") && fields.boolean("is_decoder"))
    fields.wrong("is_decoder", true, "false: only encoders of the BERT family are supported");
  config.most_tokens = config.positions;
  const json sentence = read_json(folder / "sentence_bert_config.json");
  if (sentence.is_object() && sentence.contains("max_seq_length") && !sentence["max_seq_length"].is_null())
    config.most_tokens = std::min(
        config.positions,
        Fields(sentence, (folder / "sentence_bert_config.json").string()).integer("max_seq_length", 2, most));
  read_modules(folder, config);
  return config;
}

json describe(const Config& config) {
  return {{"layers", config.layers},
          {"hidden", config.hidden},
          {"heads", config.heads},
          {"intermediate", config.intermediate},
          {"vocabulary", config.vocabulary},
          {"positions", config.positions},
          {"types", config.types},
          {"most_tokens", config.most_tokens},
          {"activation", name_of(config.activation)},
          {"epsilon", config.epsilon},
          {"pooling", name_of(config.pooling)},
          {"normalised", config.normalised}};
}

Config read_description(const json& description, const std::string& where) {
  const Fields fields(description, where);
  Config config;
  config.layers = fields.integer("layers", 1, 1024);
  config.hidden = fields.integer("hidden", 1, most);
  config.heads = fields.integer("heads", 1, config.hidden);
  config.intermediate = fields.integer("intermediate", 1, most);
  config.vocabulary = fields.integer("vocabulary", 1, most);
  config.positions = fields.integer("positions", 2, most);
  config.types = fields.integer("types", 1, most);
  config.most_tokens = fields.integer("most_tokens", 2, config.positions);
  config.epsilon = fields.number("epsilon");
  config.normalised = fields.boolean("normalised");
  check_sizes(fields, "heads", config);
  const auto activation = activation_from_name(fields.text("activation"));
  if (!activation) fields.wrong("activation", fields.at("activation"), "the name of an activation");
  config.activation = *activation;
  const std::string pooling = fields.text("pooling");
  if (pooling != "mean" && pooling != "cls") fields.wrong("pooling", pooling, "\"mean\" or \"cls\"");
  config.pooling = pooling == "mean" ? Pooling::mean : Pooling::cls;
  return config;
}

}  // namespace cross::model::bert
