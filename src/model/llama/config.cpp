#include "model/llama/config.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/json_fields.h"
#include "base/strict_json.h"
#include "cross/error.h"
#include "io/text_file.h"

namespace cross::model::llama {
namespace {

using base::Fields;
using nlohmann::json;

constexpr std::int64_t most = 1 << 24;
constexpr std::int64_t most_layers = 1024;
constexpr std::int64_t most_head_size = 1024;

bool given(const Fields& fields, const char* field) {
  return fields.has(field) && !fields.at(field).is_null();
}

std::int64_t optional(const Fields& fields, const char* field, std::int64_t high, std::int64_t otherwise) {
  return given(fields, field) ? fields.integer(field, 1, high) : otherwise;
}

bool switched_on(const Fields& fields, const char* field) {
  return given(fields, field) && fields.boolean(field);
}

void check_sizes(const Fields& fields, const Config& c, const char* key_value_heads, const char* head_size) {
  if (c.heads % c.key_value_heads != 0)
    fields.wrong(key_value_heads, c.key_value_heads, fmt::format("a divisor of the {} heads", c.heads));
  if (c.head_size % 2 != 0) fields.wrong(head_size, c.head_size, "even: dimensions are rotated in pairs");
  // The angles of a dynamic scaling are a power of size / (size − 2).
  if (c.head_size < 4) fields.wrong(head_size, c.head_size, "at least 4");
  if (c.query_rows() > most)
    fields.wrong(head_size, c.head_size,
                 fmt::format("smaller: {} heads have {} rows", c.heads, c.query_rows()));
}

double read_epsilon(const Fields& fields, const char* field) {
  const double epsilon = fields.number(field);
  if (!(epsilon >= 0 && epsilon < 1)) fields.wrong(field, fields.at(field), "a number from 0 to 1");
  return epsilon;
}

void check_activation(const Fields& fields) {
  const std::string activation = fields.text("hidden_act");
  if (activation != "silu" && activation != "swish") fields.wrong("hidden_act", activation, "silu or swish");
}

/// Which layers a window limits: all of them in Mistral, those that the files name in Qwen2.
void read_windows(const Fields& fields, const std::string& architecture, Config& config) {
  config.sliding.assign(static_cast<std::size_t>(config.layers), false);
  if (architecture == "MistralForCausalLM") {
    // The reference's default, where the field is missing rather than null.
    const bool missing = !fields.has("sliding_window");
    if (missing || given(fields, "sliding_window")) {
      config.window = missing ? 4096 : fields.integer("sliding_window", 1, most);
      config.sliding.assign(config.sliding.size(), true);
    }
    return;
  }
  if (architecture != "Qwen2ForCausalLM" || !switched_on(fields, "use_sliding_window")) return;
  config.window = optional(fields, "sliding_window", most, 4096);
  if (!given(fields, "layer_types")) {
    const std::int64_t first =
        fields.has("max_window_layers") ? fields.integer("max_window_layers", 0, most) : 28;
    for (std::int64_t i = first; i < config.layers; ++i) config.sliding[static_cast<std::size_t>(i)] = true;
    return;
  }
  const json& types = fields.array("layer_types");
  if (types.size() != config.sliding.size())
    fields.wrong("layer_types", types, fmt::format("of {} layers, as \"num_hidden_layers\"", config.layers));
  for (std::size_t i = 0; i < types.size(); ++i) {
    const std::string type = types[i].is_string() ? types[i].get<std::string>() : std::string();
    if (type != "sliding_attention" && type != "full_attention")
      fields.wrong("layer_types", types[i], "full_attention or sliding_attention");
    config.sliding[i] = type == "sliding_attention";
  }
}

/// One token or a list of them; null or nothing is none.
std::vector<std::int32_t> read_tokens(const Fields& fields, const char* field, std::int64_t vocabulary) {
  std::vector<std::int32_t> tokens;
  if (!given(fields, field)) return tokens;
  const json& value = fields.at(field);
  const json list = value.is_array() ? value : json::array({value});
  if (list.size() > 256) fields.wrong(field, value, "a few token ids");
  for (const json& entry : list) {
    if (!entry.is_number_integer() || entry < 0 || entry >= vocabulary)
      fields.wrong(field, value, fmt::format("a token id below {}, or a list of such", vocabulary));
    tokens.push_back(entry.get<std::int32_t>());
  }
  return tokens;
}

void read_special_tokens(const Fields& fields, const ConfigFile& generation, Config& config) {
  const auto take = [&](const Fields& from) {
    const auto begin = read_tokens(from, "bos_token_id", config.vocabulary);
    const auto end = read_tokens(from, "eos_token_id", config.vocabulary);
    if (!begin.empty()) config.begin_token = begin.front();
    if (!end.empty()) config.end_tokens = end;
  };
  take(fields);
  // What says how to generate is more exact: config.json often names one of several ends.
  if (!generation.root.is_null()) take(Fields(generation.root, generation.name));
}

}  // namespace

Config read_config(const json& root, const std::filesystem::path& folder) {
  const auto path = folder / "generation_config.json";
  const auto text = io::read_text_if_there(path);
  return read_config(
      ConfigFile{(folder / "config.json").string(), root},
      ConfigFile{path.string(), text ? base::parse_strict_json(*text, path.string()) : json()});
}

Config read_config(const ConfigFile& file, const ConfigFile& generation) {
  const Fields fields(file.root, file.name);
  const auto architecture = file.root.at("architectures").at(0).get<std::string>();
  Config config;
  config.layers = fields.integer("num_hidden_layers", 1, most_layers);
  config.hidden = fields.integer("hidden_size", 1, most);
  config.intermediate = fields.integer("intermediate_size", 1, most);
  config.heads = fields.integer("num_attention_heads", 1, most);
  config.key_value_heads = optional(fields, "num_key_value_heads", config.heads, config.heads);
  if (!given(fields, "head_dim") && config.hidden % config.heads != 0)
    fields.wrong("num_attention_heads", config.heads,
                 fmt::format("a divisor of the hidden size {}, as there is no \"head_dim\"", config.hidden));
  config.head_size = optional(fields, "head_dim", most_head_size, config.hidden / config.heads);
  if (config.head_size > most_head_size)
    fields.wrong("num_attention_heads", config.heads,
                 fmt::format("more: heads of {} are larger than {}", config.head_size, most_head_size));
  check_sizes(fields, config,
              given(fields, "num_key_value_heads") ? "num_key_value_heads" : "num_attention_heads",
              given(fields, "head_dim") ? "head_dim" : "num_attention_heads");
  config.vocabulary = fields.integer("vocab_size", 1, most);
  config.positions = fields.integer("max_position_embeddings", 1, most);
  config.epsilon = read_epsilon(fields, "rms_norm_eps");
  check_activation(fields);
  config.rotary = read_rotary(fields, config.positions);
  config.tied = switched_on(fields, "tie_word_embeddings");
  const bool qwen = architecture == "Qwen2ForCausalLM", llama = architecture == "LlamaForCausalLM";
  config.attention_bias = qwen || (llama && switched_on(fields, "attention_bias"));
  config.output_bias = llama && config.attention_bias;
  config.feed_forward_bias = llama && switched_on(fields, "mlp_bias");
  read_windows(fields, architecture, config);
  read_special_tokens(fields, generation, config);
  return config;
}

json describe(const Config& c) {
  return {{"layers", c.layers},
          {"hidden", c.hidden},
          {"intermediate", c.intermediate},
          {"heads", c.heads},
          {"key_value_heads", c.key_value_heads},
          {"head_size", c.head_size},
          {"vocabulary", c.vocabulary},
          {"positions", c.positions},
          {"epsilon", c.epsilon},
          {"rotary", describe(c.rotary)},
          {"tied", c.tied},
          {"window", c.window},
          {"sliding", c.sliding},
          {"begin_token", c.begin_token},
          {"end_tokens", c.end_tokens}};
}

Config read_description(const json& description, const std::string& where) {
  const Fields fields(description, where);
  Config config;
  config.layers = fields.integer("layers", 1, most_layers);
  config.hidden = fields.integer("hidden", 1, most);
  config.intermediate = fields.integer("intermediate", 1, most);
  config.heads = fields.integer("heads", 1, most);
  config.key_value_heads = fields.integer("key_value_heads", 1, config.heads);
  config.head_size = fields.integer("head_size", 1, most_head_size);
  check_sizes(fields, config, "key_value_heads", "head_size");
  config.vocabulary = fields.integer("vocabulary", 1, most);
  config.positions = fields.integer("positions", 1, most);
  config.epsilon = read_epsilon(fields, "epsilon");
  config.rotary = read_rotary_description(fields.at("rotary"), where + ", rotary");
  config.tied = fields.boolean("tied");
  config.window = fields.integer("window", 0, most);
  const json& sliding = fields.array("sliding");
  if (sliding.size() != static_cast<std::size_t>(config.layers))
    fields.wrong("sliding", sliding, fmt::format("of {} layers", config.layers));
  for (const json& layer : sliding) {
    if (!layer.is_boolean()) fields.wrong("sliding", sliding, "a list of true and false");
    config.sliding.push_back(layer.get<bool>());
  }
  config.begin_token = static_cast<std::int32_t>(fields.integer("begin_token", -1, config.vocabulary - 1));
  config.end_tokens = read_tokens(fields, "end_tokens", config.vocabulary);
  return config;
}

}  // namespace cross::model::llama
