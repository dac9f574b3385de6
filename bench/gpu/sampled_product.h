// Results are checked before anything is timed: some elements of y in float64.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "gpu/weights.h"

namespace cross_bench {

/// Errors of y over the sampled elements.
struct SampledError {
  double relative = 0;  ///< max |y − reference| / max |reference|
};

/// y[t, r] = Σ W[r, k]·x[t, k] for a sample of rows and tokens, drawn at random from equal ranges of rows and
/// from ranges of tokens that double, so that it serves every smaller token count too.
class SampledProduct {
 public:
  /// Tokens whose x it wants: ascending, below the largest of `token_counts`, the last token of each among
  /// them.
  static std::vector<std::int64_t> sample_tokens(const std::vector<std::int64_t>& token_counts);

  /// @param x [tokens.size(), cols] in the weight's dtype, the rows of `tokens`
  SampledProduct(const Weight& weight, std::vector<std::int64_t> tokens, std::span<const std::byte> x);
  /// Of the tokens, those below `count`.
  std::span<const std::int64_t> tokens_below(std::int64_t count) const;
  /// Throws VerificationError, naming `what`, unless the sampled elements are as near as fp32 sums and the
  /// rounding of y allow. @param y [tokens_below(count).size(), rows]
  SampledError check(std::span<const std::byte> y, std::int64_t count, const std::string& what) const;

 private:
  cross::DType dtype_;
  std::int64_t rows_;
  std::vector<std::int64_t> sample_, tokens_;
  std::vector<double> value_, bound_;  ///< [tokens][sample]
};

}  // namespace cross_bench
