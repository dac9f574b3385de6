// x of split_blocks_wide: every token scaled by a power of two and split into two fp16 numbers, laid out as
// the lanes that multiply it have it in registers.
//
//     x · 2^e = high + low + r,   |high| < 2^15,   |r| <= 2^-22 |x · 2^e| down to 2^-25
#pragma once

#include "kernels/cuda/split_blocks_wide_types.cuh"

namespace cross::kernels::cuda::split_blocks_wide {

struct SplitParams {
  const float* x = nullptr;  ///< [tokens, cols]
  std::byte* split_x = nullptr;
  std::int32_t* exponents = nullptr;
  std::int64_t cols = 0;
  std::int32_t tokens = 0;
  std::int32_t k_blocks = 0;  ///< even
  bool aligned = false;       ///< rows of x are 16-byte aligned
};

inline constexpr int split_threads = 512;

__device__ __forceinline__ float4 load_four(const SplitParams& p, std::int32_t token, std::int64_t col) {
  const float* row = p.x + static_cast<std::int64_t>(token) * p.cols;
  if (token < p.tokens && p.aligned && col + 4 <= p.cols)
    return __ldg(reinterpret_cast<const float4*>(row + col));
  float v[4];
#pragma unroll
  for (int i = 0; i < 4; ++i) v[i] = token < p.tokens && col + i < p.cols ? row[col + i] : 0.0f;
  return make_float4(v[0], v[1], v[2], v[3]);
}

__device__ __forceinline__ std::uint32_t larger(std::uint32_t bits, const float4& v) {
  bits = max(max(bits, __float_as_uint(v.x) & 0x7fffffffu), __float_as_uint(v.y) & 0x7fffffffu);
  return max(max(bits, __float_as_uint(v.z) & 0x7fffffffu), __float_as_uint(v.w) & 0x7fffffffu);
}

/// Columns of two tokens on their way to the operands of a lane.
__device__ __forceinline__ void put_four(std::byte* to, const float4 (&v)[2], const float (&scale)[2],
                                         const bool (&finite)[2]) {
  std::uint32_t high[4] = {}, low[4] = {};
#pragma unroll
  for (int h = 0; h < 2; ++h) {
    if (!finite[h]) continue;
    split_pair(v[h].x * scale[h], v[h].y * scale[h], high[h], low[h]);
    split_pair(v[h].z * scale[h], v[h].w * scale[h], high[2 + h], low[2 + h]);
  }
  *reinterpret_cast<uint4*>(to) = make_uint4(high[0], high[1], high[2], high[3]);
  *reinterpret_cast<uint4*>(to + x_part_bytes) = make_uint4(low[0], low[1], low[2], low[3]);
}

/// A CTA two neighbouring tokens, those that fill the last tile up included.
static __global__ void __launch_bounds__(split_threads) split_kernel(const __grid_constant__ SplitParams p) {
  constexpr int warps = split_threads / 32;
  __shared__ std::uint32_t warp_largest[2][warps];
  wait_for_predecessor();
  let_successor_start();
  const int thread = static_cast<int>(threadIdx.x);
  const auto token = static_cast<std::int32_t>(2 * blockIdx.x);
  const std::int64_t padded = static_cast<std::int64_t>(p.k_blocks) * split_k;
  // The first columns stay in registers between finding the largest and splitting.
  constexpr int kept = 2;
  constexpr std::int64_t round = 4 * split_threads;
  float4 v[kept][2];
  std::uint32_t largest[2] = {};
#pragma unroll
  for (int i = 0; i < kept; ++i)
#pragma unroll
    for (int h = 0; h < 2; ++h) v[i][h] = load_four(p, token + h, 4 * thread + i * round);
#pragma unroll
  for (int i = 0; i < kept; ++i)
#pragma unroll
    for (int h = 0; h < 2; ++h) largest[h] = larger(largest[h], v[i][h]);
  for (std::int64_t col = 4 * thread + kept * round; col < padded; col += round)
#pragma unroll
    for (int h = 0; h < 2; ++h) largest[h] = larger(largest[h], load_four(p, token + h, col));
  float scale[2];
  bool finite[2];
#pragma unroll
  for (int h = 0; h < 2; ++h) {
    largest[h] = __reduce_max_sync(~0u, largest[h]);
    if ((thread & 31) == 0) warp_largest[h][thread >> 5] = largest[h];
  }
  __syncthreads();
#pragma unroll
  for (int h = 0; h < 2; ++h) {
    std::uint32_t most = 0;
#pragma unroll
    for (int i = 0; i < warps; ++i) most = max(most, warp_largest[h][i]);
    finite[h] = most < 0x7f800000u;
    const std::int32_t exponent = exponent_of_finite(most);
    scale[h] = power_of_two(exponent);
    if (thread == 0) p.exponents[token + h] = finite[h] ? exponent : not_finite;
  }
  const int in_group = token % group_tokens;
  std::byte* out = p.split_x + static_cast<std::int64_t>(token / group_tokens) * p.k_blocks * x_block_bytes +
                   in_group / 16 * x_warp_bytes + in_group % 16 / 2 * 64;
  const auto place = [&](std::int64_t col) { return out + col / 16 * x_step_bytes + col % 16 / 4 * 16; };
#pragma unroll
  for (int i = 0; i < kept; ++i)
    if (const std::int64_t col = 4 * thread + i * round; col < padded)
      put_four(place(col), v[i], scale, finite);
  for (std::int64_t col = 4 * thread + kept * round; col < padded; col += round) {
    const float4 more[2] = {load_four(p, token, col), load_four(p, token + 1, col)};
    put_four(place(col), more, scale, finite);
  }
}

/// The A operands of 16 columns for a lane's two tokens.
struct Fragment {
  std::uint32_t high[4], low[4];

  /// @param from  the lane's place in a step of x
  __device__ __forceinline__ void load(const std::byte* from) {
    load_part(high, from);
    load_part(low, from + x_part_bytes);
  }
  __device__ __forceinline__ void hold() {
    hold_registers(high);
    hold_registers(low);
  }

 private:
  static __device__ __forceinline__ void load_part(std::uint32_t (&r)[4], const std::byte* from) {
    asm volatile("ld.global.L1::no_allocate.v4.b32 {%0, %1, %2, %3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "l"(from));
  }
};

}  // namespace cross::kernels::cuda::split_blocks_wide
