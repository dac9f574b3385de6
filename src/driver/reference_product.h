// y = x·Wᵀ + bias in float64 from a plan's own packed weights: what bench and verify compare results with.
#pragma once

#include <cstddef>
#include <cstdint>

#include "cross/plan.h"

namespace cross::driver {

struct ProductCheck {
  double rel_error = 0;  ///< max |y − reference| / max |reference| over the checked rows
  double tolerance = 0;  ///< what rel_error may be: the largest bound of an element / max |reference|
  bool passed = true;    ///< every element lies within its own bound
  std::int64_t rows_checked = 0;
  /// The element that uses most of its bound; a row of W, not of the packed order.
  std::int64_t worst_token = 0, worst_row = 0;
  double got = 0, expected = 0;
};

/// Compares y[tokens, rows] with the float64 product of x[tokens, cols] and the packing that a run of
/// `tokens` uses; x and y are in the plan's dtype. Layers with more than `max_rows` rows are sampled: evenly
/// over the rows, the first and the last among them, and at least one row of every panel. max_rows ≤ 0 checks
/// all.
///
/// The bound of one element, with n = its kept weights and u = 2⁻²⁴ (products are accumulated in fp32, in any
/// order):
///
///     min(n', 8·√n')·u·(Σ|w·x| + |bias|) + n'·2⁻¹²⁶        n' = n + 64, for lanes and their reduction
///     bf16: + 2⁻⁸·(|reference| + the above)                  rounding of y
///     fp16: + 2⁻¹¹·(|reference| + the above) + 2⁻²⁴          the same, and the spacing of its subnormals
///
/// 8·√n' is the probabilistic bound of rounding errors that are independent (failing has odds below 10⁻¹²);
/// 2⁻¹²⁶ is what a flushed subnormal costs. Where fp32 overflows any result passes that is infinite or NaN.
ProductCheck check_product(const LayerPlan& layer, DType dtype, const std::byte* x, const std::byte* y,
                           std::int64_t tokens, std::int64_t max_rows);

}  // namespace cross::driver
