// What the parts of the split_blocks kernel share: parameters, tiles, instructions.
#pragma once

#include "kernels/cuda/cluster.cuh"
#include "kernels/cuda/four_rows.cuh"
#include "kernels/cuda/split_precision.cuh"
#include "kernels/cuda/wgmma.cuh"
#include "plan/formats/gpu/split_blocks.h"

namespace cross::kernels::cuda::split_blocks {

using namespace formats::gpu;

inline constexpr int split_max_tokens = 1024;
inline constexpr int warp_group_threads = 128, group_tokens = 64;
/// Blocks whose products tensor cores add up, truncating, before CUDA cores take the sums.
inline constexpr int blocks_a_sum = 4;

struct Params {
  const std::uint32_t* begin = nullptr;
  const std::int32_t* row_exponents = nullptr;
  const uint4* parts = nullptr;
  const uint2* places = nullptr;
  const float* x = nullptr;  ///< [tokens, cols]
  EpilogueArgs<float> epilogue;
  std::int64_t cols = 0;
  std::int32_t tokens = 0, k_blocks = 0;
  std::int32_t split_bits = 0;  ///< 2^split_bits CTAs of a cluster share K
  bool aligned = false;         ///< rows of x are 16-byte aligned
  bool overlap = false;         ///< x may not be there yet
  bool aboard = false;          ///< begin_aboard holds what begin does
  std::uint32_t begin_aboard[split_lists_aboard + 1];
};

/// What a CTA does: `rows` weights' rows (64 or 128) by 64 · token_groups tokens; k_groups of its warp groups
/// share K, and so do the CTAs of a cluster.
/// @tparam ctas  that share an SM: two leave too few registers to load the next block while one is multiplied
template <int row_count, int token_group_count, int k_group_count, bool long_k, int ctas = 1>
struct Tile {
  static constexpr int rows = row_count, token_groups = token_group_count, k_groups = k_group_count;
  static constexpr bool flushes = long_k, loads_ahead = ctas * 128 * token_group_count * k_group_count < 512;
  static constexpr int ctas_an_sm = ctas;
  static constexpr int tokens = group_tokens * token_groups;
  static constexpr int group_threads = warp_group_threads * token_groups;  ///< that share K
  static constexpr int threads = group_threads * k_groups;
  static constexpr std::uint32_t part_bytes = rows * split_k * 2, buffer_bytes = 2 * part_bytes;
  /// Buffers of a K group: one that is multiplied, one that is cleared and written; where there is room, one
  /// more that is cleared earlier.
  static constexpr int stages = rows == 128 ? 2 : 3;
  static constexpr std::uint32_t group_bytes = stages * buffer_bytes;
  /// Quads of weights a thread fetches one block ahead: as many as registers allow.
  static constexpr int quads_ahead = !loads_ahead || (rows == 128 && flushes) ? 2 : 4;
  static constexpr int pitch = rows + 8;  ///< floats of a token in a tile of sums: no two lanes share a bank
  static constexpr int quads = rows / 4;  ///< of a token's outputs
  // Shared memory: buffers, sums that others send, exponents of tokens, a counter.
  static constexpr std::uint32_t inbox_at = k_groups * group_bytes,
                                 exponents_at = inbox_at + 4 * rows * tokens / 8 * 7,
                                 counter_at = exponents_at + 4 * tokens;
  static constexpr std::uint32_t shared_bytes = 1024 + counter_at + 8;
  static_assert(4 * pitch * tokens <= group_bytes);
  static_assert(k_groups == 1 || (k_groups == 2 && token_groups == 1));
};

__device__ __forceinline__ float larger(float a, float b) {
  float d;  // NaN if one is
  asm("max.NaN.f32 %0, %1, %2;" : "=f"(d) : "f"(a), "f"(fabsf(b)));
  return d;
}
/// Two neighbours: their high parts, and what those leave.
__device__ __forceinline__ void split_pair(float v0, float v1, float scale, std::uint32_t& high,
                                           std::uint32_t& low) {
  const __half2 h = __floats2half2_rn(v0 * scale, v1 * scale);
  const float2 back = __half22float2(h);
  const __half2 l = __floats2half2_rn(fmaf(v0, scale, -back.x), fmaf(v1, scale, -back.y));
  high = *reinterpret_cast<const std::uint32_t*>(&h);
  low = *reinterpret_cast<const std::uint32_t*>(&l);
}
__device__ __forceinline__ void store_shared2(std::uint32_t address, std::uint32_t value) {
  asm volatile("st.shared.b16 [%0], %1;" ::"r"(address), "h"(static_cast<std::uint16_t>(value)) : "memory");
}
__device__ __forceinline__ void store_shared_floats(std::uint32_t address, const float (&v)[4]) {
  asm volatile("st.shared.v4.f32 [%0], {%1, %2, %3, %4};" ::"r"(address), "f"(v[0]), "f"(v[1]), "f"(v[2]),
               "f"(v[3])
               : "memory");
}

/// Writes four kept weights into a buffer: high parts, and low parts `part_bytes` behind them.
/// @tparam mask  of what is the byte in the buffer in a place
template <std::uint32_t mask, std::uint32_t part_bytes>
__device__ __forceinline__ void put_quad(std::uint32_t buffer, const uint4& parts, const uint2& places) {
  const std::uint32_t part[4] = {parts.x, parts.y, parts.z, parts.w};
  const std::uint32_t place[4] = {places.x, places.x >> 16, places.y, places.y >> 16};
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    const std::uint32_t to = buffer + (place[i] & mask);
    store_shared2(to, part[i]);
    store_shared2(to + part_bytes, part[i] >> 16);
  }
}

}  // namespace cross::kernels::cuda::split_blocks
