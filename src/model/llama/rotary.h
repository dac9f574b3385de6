// Rotary position embedding: by which angle each pair of dimensions turns at each position.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/json_fields.h"

namespace cross::model::llama {

/// How a model's frequencies were stretched to sequences longer than it was first trained on.
enum class Scaling : std::uint8_t { none, linear, dynamic, llama3, yarn };

struct Rotary {
  Scaling scaling = Scaling::none;
  double theta = 10000;  ///< wavelengths reach from 2π to 2π·theta
  double factor = 1;     ///< all but none: how much longer the sequences became
  std::int64_t original =
      0;  ///< llama3, yarn: tokens that it was first trained on; dynamic: those of config.json
  double low_frequency = 1, high_frequency = 4;  ///< llama3: turns within `original` between which it blends
  double beta_fast = 32, beta_slow = 1;          ///< yarn: the same
  bool truncate = true;                          ///< yarn: the bounds of the blend are whole dimensions
  double attention_factor = 1;                   ///< yarn: of cosine and sine
};

/// "rope_parameters", or "rope_scaling" and "rope_theta", of a parsed config.json. InputError for a kind of
/// scaling that is not supported, by name, and for fields that are missing or make no sense.
Rotary read_rotary(const base::Fields& config, std::int64_t positions);

/// The same to and from the description of a plan.
nlohmann::json describe(const Rotary& rotary);
Rotary read_rotary_description(const nlohmann::json& description, const std::string& where);

/// Angle per position of every pair of dimensions, [head_size / 2], for a sequence of `tokens` tokens (only
/// `dynamic` asks how long it is). In fp32, step by step as the reference has them: at a position p an error
/// counts p times.
std::vector<float> frequencies(const Rotary& rotary, std::int64_t head_size, std::int64_t tokens);

}  // namespace cross::model::llama
