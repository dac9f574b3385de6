// x and sums of split_blocks: what a lane has of them.
#pragma once

#include "kernels/cuda/split_blocks_exchange.cuh"

namespace cross::kernels::cuda::split_blocks {

/// A lane's part of a block of x: two tokens, four steps of four neighbouring columns.
struct Columns {
  float4 v[4][2];

  __device__ __forceinline__ void load(const Params& p, std::int32_t block, std::int32_t token, int t) {
    const std::int64_t col0 = static_cast<std::int64_t>(block) * split_k + 4 * t;
    if (p.aligned && token + 8 < p.tokens && (block + 1) * std::int64_t{split_k} <= p.cols) {
      const float* row = p.x + static_cast<std::int64_t>(token) * p.cols + col0;
      const float* row8 = row + 8 * p.cols;
#pragma unroll
      for (int s = 0; s < 4; ++s) {
        v[s][0] = __ldg(reinterpret_cast<const float4*>(row + 16 * s));
        v[s][1] = __ldg(reinterpret_cast<const float4*>(row8 + 16 * s));
      }
      return;
    }
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      const float* row = p.x + static_cast<std::int64_t>(token + 8 * h) * p.cols + col0;
      const bool inside = token + 8 * h < p.tokens;
#pragma unroll
      for (int s = 0; s < 4; ++s) {
        v[s][h] = make_float4(0, 0, 0, 0);
        const std::int64_t left = inside ? p.cols - col0 - 16 * s : 0;
        if (p.aligned) {
          if (left > 0) v[s][h] = __ldg(reinterpret_cast<const float4*>(row + 16 * s));
        } else {
          if (left > 0) v[s][h].x = __ldg(row + 16 * s);
          if (left > 1) v[s][h].y = __ldg(row + 16 * s + 1);
          if (left > 2) v[s][h].z = __ldg(row + 16 * s + 2);
          if (left > 3) v[s][h].w = __ldg(row + 16 * s + 3);
        }
      }
    }
  }
  /// Of a token; NaN if one is.
  __device__ __forceinline__ float largest(int h) const {
    float most = 0;
#pragma unroll
    for (int s = 0; s < 4; ++s)
      most = larger(larger(larger(larger(most, v[s][h].x), v[s][h].y), v[s][h].z), v[s][h].w);
    most = larger(most, __shfl_xor_sync(~0u, most, 1));
    return larger(most, __shfl_xor_sync(~0u, most, 2));
  }
  /// Of a token that is not finite (`keep` is false): what is finite of it, and zeros instead of it.
  __device__ __forceinline__ float drop(int h, bool keep) {
    const auto finite = [](float f) { return fabsf(f) < INFINITY ? f : 0.0f; };
    float most = 0;
#pragma unroll
    for (int s = 0; s < 4; ++s) {
      float4& f = v[s][h];
      most = larger(larger(larger(larger(most, finite(f.x)), finite(f.y)), finite(f.z)), finite(f.w));
      f.x = keep ? f.x : 0.0f, f.y = keep ? f.y : 0.0f, f.z = keep ? f.z : 0.0f, f.w = keep ? f.w : 0.0f;
    }
    most = larger(most, __shfl_xor_sync(~0u, most, 1));
    return larger(most, __shfl_xor_sync(~0u, most, 2));
  }
};

/// The powers of two of a lane's two tokens.
struct Scales {
  std::int32_t exponent[2] = {126, 126};
  std::uint32_t not_finite = 0;  ///< bits 0 and 1: tokens of this block to be multiplied weight by weight
};

/// Sums of `rows` rows for two tokens, as wgmma has them.
template <class T>
struct Sums {
  float v[T::rows / 8][4];

  __device__ __forceinline__ void clear() {
#pragma unroll
    for (int i = 0; i < T::rows / 8; ++i)
#pragma unroll
      for (int j = 0; j < 4; ++j) v[i][j] = 0.0f;
  }
  __device__ __forceinline__ void hold() {
#pragma unroll
    for (int i = 0; i < T::rows / 8; ++i) hold_registers(v[i]);
  }
  __device__ __forceinline__ void scale(int h, float factor) {
#pragma unroll
    for (int i = 0; i < T::rows / 8; ++i) v[i][2 * h] *= factor, v[i][2 * h + 1] *= factor;
  }
  __device__ __forceinline__ void add(const Sums& other) {
#pragma unroll
    for (int i = 0; i < T::rows / 8; ++i)
#pragma unroll
      for (int j = 0; j < 4; ++j) v[i][j] += other.v[i][j];
  }
  __device__ __forceinline__ void multiply(const std::uint32_t (&a)[4], std::uint32_t b) {
    if constexpr (T::rows == 128)
      wgmma_wide(v, a, swizzled_descriptor(b), true);
    else
      wgmma<__half, 8>(v, a, swizzled_descriptor(b));
  }
};

/// One row's products of a block with two tokens, where these hold Inf or NaN: of kept weights only, which
/// are those that are not zero in both parts. Slow, rare, and out of line: sums would leave their registers.
/// @param buffer  the block's weights  @param x  the first token's row at the block's first column
static __device__ __noinline__ float2 multiply_exactly(std::uint32_t buffer, int row,
                                                       std::uint32_t part_bytes, const float* x,
                                                       std::int64_t cols, int columns,
                                                       std::uint32_t not_finite, std::int32_t exponent0,
                                                       std::int32_t exponent8) {
  float sum0 = 0, sum8 = 0;
  for (int c = 0; c < columns; ++c) {
    const std::uint32_t at = buffer + split_place(row, c);
    const std::uint32_t high = load_shared_u16(at), low = load_shared_u16(at + part_bytes);
    if ((high | low) == 0) continue;
    const float w = __half2float(__ushort_as_half(static_cast<unsigned short>(high))) +
                    __half2float(__ushort_as_half(static_cast<unsigned short>(low)));
    if ((not_finite & 1) != 0) sum0 = fmaf(w, x[c] * power_of_two(exponent0), sum0);
    if ((not_finite & 2) != 0) sum8 = fmaf(w, x[8 * cols + c] * power_of_two(exponent8), sum8);
  }
  return {sum0, sum8};
}

}  // namespace cross::kernels::cuda::split_blocks
