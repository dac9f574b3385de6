// Sizes and switches of a model of the BERT family.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "cross/encoder.h"
#include "cross/epilogue.h"

namespace cross::model::bert {

struct Config {
  std::int64_t layers = 0, hidden = 0, heads = 0, intermediate = 0;
  std::int64_t vocabulary = 0, positions = 0, types = 0;
  std::int64_t most_tokens = 0;  ///< of a sentence, at most `positions`
  Activation activation = Activation::gelu;
  double epsilon = 0;
  Pooling pooling = Pooling::mean;
  bool normalised = false;

  std::int64_t head_size() const { return hidden / heads; }
};

/// From a parsed config.json, with the folder's sentence-transformers files where it has them:
/// `modules.json`, `1_Pooling/config.json`, `sentence_bert_config.json`. Without them: mean, not normalised,
/// all positions.
Config read_config(const nlohmann::json& config, const std::filesystem::path& folder);

/// As a plan's description has it.
nlohmann::json describe(const Config& config);
Config read_description(const nlohmann::json& description, const std::string& where);

}  // namespace cross::model::bert
