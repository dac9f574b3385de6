// The perplexity of a decoder on tokens, in windows that overlap.
#pragma once

#include <cstdint>
#include <span>

#include "cross/decoder.h"

namespace cross::driver {

struct Predictions {
  double loss = 0;             ///< sum of −log p over what was predicted
  std::int64_t predicted = 0;  ///< tokens
  std::int64_t read = 0;       ///< tokens that went through the model
};

/// −log softmax(logits)[token]
double loss_of(std::span<const float> logits, std::int32_t token);

/// As `evaluate_decoder` describes. At least two tokens, 1 <= stride < window.
Predictions predict(Decoder& decoder, std::span<const std::int32_t> tokens, std::int64_t window,
                    std::int64_t stride);

}  // namespace cross::driver
