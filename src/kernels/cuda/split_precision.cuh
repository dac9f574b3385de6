// fp32 as two fp16 numbers: what kernels share that multiply in split precision.
//
//     v = high + low + r,   |high| < 2^15,   |r| <= 2^-22 |v| down to 2^-25,   v scaled by a power of two
#pragma once

#include <cuda_fp16.h>

#include <cstdint>

namespace cross::kernels::cuda {

/// Exponent of a token that holds Inf or NaN: it is split into zeros, and its products are summed weight by
/// weight.
inline constexpr std::int32_t not_finite = 1 << 20;

/// 2^exponent, -126 … 127.
__device__ __forceinline__ float power_of_two(std::int32_t exponent) {
  return __int_as_float((exponent + 127) << 23);
}

/// The power that brings numbers to below 2^15. @param largest  bits of the largest magnitude, finite
__device__ __forceinline__ std::int32_t exponent_of_finite(std::uint32_t largest) {
  return largest == 0 ? 0 : max(-113, min(126, 14 - (static_cast<std::int32_t>(largest >> 23) - 127)));
}

/// Two neighbours: their high parts, and what those leave.
__device__ __forceinline__ void split_pair(float v0, float v1, std::uint32_t& high, std::uint32_t& low) {
  const __half2 h = __floats2half2_rn(v0, v1);
  const float2 back = __half22float2(h);
  const __half2 l = __floats2half2_rn(v0 - back.x, v1 - back.y);
  high = *reinterpret_cast<const std::uint32_t*>(&h);
  low = *reinterpret_cast<const std::uint32_t*>(&l);
}

}  // namespace cross::kernels::cuda
