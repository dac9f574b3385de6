// Which token comes next: the likeliest, or one drawn by chance.
//
//   p = softmax(logits / temperature)
//   kept = the top_k likeliest; of these the fewest likeliest whose share of their sum is at least top_p
//   the next token is drawn from p over the kept ones
#pragma once

#include <cstdint>
#include <random>
#include <span>
#include <vector>

namespace cross {

struct SamplingOptions {
  double temperature = 0;  ///< 0: the likeliest token (the first of equals), whatever stands below
  std::int64_t top_k = 0;  ///< 0: all
  double top_p = 1;
  std::uint64_t seed = 0;
};

/// Draws tokens. The same options and logits give the same tokens, on every machine whose exp rounds alike.
class Sampler {
 public:
  /// UsageError unless temperature is 0 or more, top_k 0 or more, and 0 < top_p <= 1.
  explicit Sampler(const SamplingOptions& options);

  /// The next token. Equal logits stand in the order of their ids. InputError if a logit is not a number or
  /// none is finite.
  std::int32_t next(std::span<const float> logits);

 private:
  std::int32_t draw(std::span<const float> logits, float highest);
  void keep_top_p(std::span<const float> logits, float highest);
  double weight(float logit, float highest) const;

  SamplingOptions options_;
  std::mt19937_64 random_;
  std::vector<std::int32_t> kept_;
};

}  // namespace cross
