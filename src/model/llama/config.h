// Sizes and switches of a model of the Llama family.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "model/llama/rotary.h"

namespace cross::model::llama {

struct Config {
  std::int64_t layers = 0, hidden = 0, intermediate = 0;
  std::int64_t heads = 0, key_value_heads = 0, head_size = 0;
  std::int64_t vocabulary = 0, positions = 0;
  double epsilon = 0;
  Rotary rotary;
  bool tied = false;            ///< the output layer is the embedding table
  bool attention_bias = false;  ///< of query, key and value
  bool output_bias = false;     ///< of the attention's output
  bool feed_forward_bias = false;
  std::int64_t window = 0;    ///< 0: every layer attends to all tokens before
  std::vector<bool> sliding;  ///< per layer: whether the window limits it
  std::int32_t begin_token = -1;
  std::vector<std::int32_t> end_tokens;

  std::int64_t query_rows() const { return heads * head_size; }
  std::int64_t key_value_rows() const { return key_value_heads * head_size; }
  /// Query heads that share one key and value head.
  std::int64_t group() const { return heads / key_value_heads; }
};

/// A parsed file, and its name for messages; null where there is none.
struct ConfigFile {
  std::string name;
  nlohmann::json root;
};

/// From config.json, whose "architectures" is a list of one name, and generation_config.json beside it, if
/// that is there. InputError for missing or wrong fields, and for switches that are not supported.
Config read_config(const ConfigFile& file, const ConfigFile& generation);
/// `root` is the parsed config.json of `folder`.
Config read_config(const nlohmann::json& root, const std::filesystem::path& folder);

/// The same to and from the description of a plan.
nlohmann::json describe(const Config& config);
Config read_description(const nlohmann::json& description, const std::string& where);

}  // namespace cross::model::llama
