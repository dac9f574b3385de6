// Results are checked before anything is timed: some rows of W in float64.
#pragma once

#include <string>
#include <vector>

#include "gpu/weights.h"

namespace cross_bench {

/// y[t, r] = Σ W[r, k]·x[t, k] for a sample of rows: the first, the last and some between.
class SampledProduct {
 public:
  /// @param x [tokens, cols] in the weight's dtype
  SampledProduct(const Weight& weight, const std::vector<std::uint16_t>& x, std::int64_t tokens);
  /// Throws VerificationError, naming `what`, unless the sampled rows of y[tokens, rows] are as near as fp32
  /// sums and the rounding of y allow. `tokens` may be fewer than at construction.
  void check(const std::vector<std::uint16_t>& y, std::int64_t tokens, const std::string& what) const;

 private:
  cross::DType dtype_;
  std::int64_t rows_;
  std::vector<std::int64_t> sample_;
  std::vector<double> value_, bound_;  ///< [tokens][sample]
};

}  // namespace cross_bench
