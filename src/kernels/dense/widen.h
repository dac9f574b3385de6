// bf16 operands for a library that only multiplies fp32.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "cross/dtype.h"

namespace cross::kernels {

/// Rows × cols bf16 values as fp32, by `threads` OpenMP threads.
inline void widen(const std::byte* bf16, float* out, std::int64_t count, [[maybe_unused]] int threads) {
  const auto* in = reinterpret_cast<const std::uint16_t*>(bf16);
#pragma omp parallel for simd num_threads(threads) schedule(static) if (count > 16384)
  for (std::int64_t i = 0; i < count; ++i) out[i] = float_from_bf16(in[i]);
}

/// fp32 + bias (repeated every `cols` values; may be nullptr) → bf16.
inline void narrow(const float* in, std::byte* bf16, std::int64_t rows, std::int64_t cols, const float* bias,
                   [[maybe_unused]] int threads) {
  auto* out = reinterpret_cast<std::uint16_t*>(bf16);
#pragma omp parallel for num_threads(threads) schedule(static) if (rows * cols > 16384)
  for (std::int64_t r = 0; r < rows; ++r)
    for (std::int64_t c = 0; c < cols; ++c)
      out[r * cols + c] = bf16_from_float(bias != nullptr ? in[r * cols + c] + bias[c] : in[r * cols + c]);
}

}  // namespace cross::kernels
