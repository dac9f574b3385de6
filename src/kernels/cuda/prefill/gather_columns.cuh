// Columns of x for a further stage of the sparse product, from where enqueue_transposed left them.
#pragma once

#include "kernels/cuda/prefill/pipeline.cuh"
#include "kernels/cuda/prefill/transpose_columns.h"

namespace cross::kernels::cuda {

/// Lanes of a column of a token tile, eight tokens each.
template <int tokens>
inline constexpr int column_lanes = tokens / 8;

/// A warp's columns of the 64 that `names` names, eights of them in turn with the other warps: once `wanted`
/// says that the place at `to` is free all copies are on their way at once, and `gathered` counts every lane
/// when its own have come. In the place: 128 bytes of 64 tokens a column, with the 128-byte swizzle, for each
/// 64 tokens.
/// @param x  this lane's tokens of the first column
template <int tokens, int warps>
__device__ __forceinline__ void gather_columns(const std::byte* x, const uint4* names, int warp,
                                               std::uint32_t to_place, std::uint32_t wanted,
                                               std::uint32_t parity, std::uint32_t gathered) {
  constexpr int eights = 8, of_warp = (eights + warps - 1) / warps;
  constexpr int lanes = column_lanes<tokens>, at_once = 32 / lanes, copies = 8 / at_once;
  const auto lane = static_cast<std::uint32_t>(threadIdx.x & 31), row = lane / lanes;  // of those at once
  std::uint64_t from[of_warp][copies];
#pragma unroll
  for (int e = 0; e < of_warp; ++e) {
    const uint4* const eight = names + 2 * min(warp + e * warps, eights - 1);
    const uint4 name[2] = {__ldg(eight), __ldg(eight + 1)};
#pragma unroll
    for (int c = 0; c < copies; ++c) {
      const int k = c * at_once;
      std::uint32_t column = (&name[k / 4].x)[k % 4];
#pragma unroll
      for (int r = 1; r < at_once; ++r)
        if (row == static_cast<std::uint32_t>(r)) column = (&name[k / 4].x)[k % 4 + r];
      from[e][c] = reinterpret_cast<std::uint64_t>(x) + std::uint64_t{column} * (transposed_tokens * 2);
    }
  }
  const std::uint32_t eight = to_place + lane % lanes / 8 * (64 * 128) + ((lane ^ row) & 7) * 16 + row * 128 +
                              static_cast<std::uint32_t>(warp) * 1024;
  std::uint32_t to[copies];
#pragma unroll
  for (int c = 0; c < copies; ++c) to[c] = eight ^ static_cast<std::uint32_t>(c * at_once * 16);
    // All addresses before the wait: behind it they would be computed one by one.
#pragma unroll
  for (int c = 0; c < copies; ++c) {
    asm volatile("" : "+r"(to[c]));
#pragma unroll
    for (int e = 0; e < of_warp; ++e) asm volatile("" : "+l"(from[e][c]));
  }
  wait_in_cluster(wanted, parity);
#pragma unroll
  for (int e = 0; e < of_warp; ++e) {
    if (warp + e * warps >= eights) break;
#pragma unroll
    for (int c = 0; c < copies; ++c)
      copy16_async(to[c] + static_cast<std::uint32_t>(e * warps * 1024 + c * at_once * 128),
                   reinterpret_cast<const void*>(from[e][c]));
  }
  copies_arrive(gathered);
}

}  // namespace cross::kernels::cuda
