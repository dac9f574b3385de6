// Rows of W as lists of kept weights in a plan's 16-bit dtype.
#pragma once

#include <cstdint>
#include <vector>

#include "cross/dtype.h"
#include "cross/matrix.h"

namespace cross::compiler {

struct KeptWeight {
  std::int32_t col = 0;
  std::uint16_t bits = 0;
};

/// W[r, c] rounded to bf16 or fp16; zero bits where it is pruned.
inline std::uint16_t half_bits(const MatrixView& weight, DType dtype, std::int64_t r, std::int64_t c) {
  if (weight.dtype == dtype) return static_cast<std::uint16_t>(weight.bits(r, c));
  if (weight.bits(r, c) == 0) return 0;
  const float value = weight.value(r, c);
  return dtype == DType::bf16 ? bf16_from_float(value) : fp16_from_float(value);
}

/// Appends the kept weights of row `r`, columns ascending, to `out` (cleared first).
inline void kept_weights(const MatrixView& weight, DType dtype, std::int64_t r,
                         std::vector<KeptWeight>& out) {
  out.clear();
  for (std::int64_t c = 0; c < weight.cols; ++c)
    if (const std::uint16_t bits = half_bits(weight, dtype, r, c); bits != 0)
      out.push_back({static_cast<std::int32_t>(c), bits});
}

/// Rows by descending count of kept weights, ties by index: neighbours then have lists of nearly one length.
std::vector<std::int32_t> rows_by_count(const std::vector<std::int64_t>& count);

/// Kept weights of every row.
std::vector<std::int64_t> count_rows(const MatrixView& weight, DType dtype, int threads);

}  // namespace cross::compiler
