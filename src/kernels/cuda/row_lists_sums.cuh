// Sums of row_lists: from all CTAs of a cluster, which share K, to y.
#pragma once

#include "kernels/cuda/row_lists_types.cuh"

namespace cross::kernels::cuda::row_lists {

/// Where in the tile of sums a token's row stands: units of four rows are exchanged by token / 4, so that
/// lanes with different tokens meet different banks.
template <class T>
__device__ __forceinline__ std::uint32_t sum_place(std::uint32_t token, std::uint32_t row) {
  return 4 * (token * T::rows + (row ^ 4 * (token / 4 % 8)));
}

/// Before a CTA's first barrier, by all of its threads: what others will send is counted from here on.
template <class T>
__device__ __forceinline__ void expect_sums(const Params& p, std::uint32_t counter) {
  if (p.split_bits == 0) return;
  if (threadIdx.x == 0) {
    make_counter(counter, 1);
    announce(counter, static_cast<int>(T::inbox_bytes(p.split_bits)));
  }
  __syncwarp();
  cluster_arrive_relaxed();
}

/// Adds up the sums of the cluster and stores y: every CTA its share of the tokens, in the order of K. What
/// others finish is sent to them, and counted where it arrives.
/// @param quads  that the tile has; its other rows are none of the matrix
/// @param granules  their granules, in shared memory
template <class T>
__device__ __forceinline__ void store_sums(const Params& p, std::uint32_t sums, std::uint32_t inbox,
                                           std::uint32_t counter, std::uint32_t quads,
                                           std::uint32_t granules) {
  constexpr std::uint32_t units = T::rows / 4, step = threads / units;
  const std::uint32_t splits = 1u << p.split_bits, share = tile_tokens >> p.split_bits, rank = blockIdx.x;
  const std::uint32_t row = threadIdx.x % units * 4, first = threadIdx.x / units;
  const std::uint32_t slot_bytes = 4 * share * T::rows;  // of an inbox: one for each other CTA, in order
  if (splits > 1) {
    cluster_wait();
#pragma unroll 1
    for (std::uint32_t d = 1; d < splits; ++d) {
      const std::uint32_t owner = (rank + d) & (splits - 1);
      const std::uint32_t to = in_cta(inbox, static_cast<int>(owner)) +
                               (rank < owner ? rank : rank - 1) * slot_bytes,
                          their_counter = in_cta(counter, static_cast<int>(owner));
#pragma unroll 2
      for (std::uint32_t t = first; t < share; t += step)
        store_counted(to + 4 * (t * T::rows + row),
                      load_shared_floats4(sums + sum_place<T>(owner * share + t, row)), their_counter);
    }
    wait_counter(counter);
  }
  if (row / row_list_streams >= quads) return;
  const EpilogueArgs<float>& e = p.epilogue;
  const std::int64_t y_row =
      std::int64_t{load_shared(granules + 4 * (row / row_list_granule))} * row_list_granule +
      row % row_list_granule;
  if (y_row >= e.rows) return;
  const bool whole = y_row + 4 <= e.rows && e.rows % 4 == 0 &&
                     (reinterpret_cast<std::uintptr_t>(e.y) & 15) == 0 && e.bias == nullptr &&
                     e.residual == nullptr && e.activation == Activation::none;
  const std::int64_t token0 = std::int64_t{blockIdx.z} * tile_tokens + rank * share;
  if (splits == 1 && whole) {  // what small products mostly do, in few instructions
    float* y = e.y + (token0 + first) * e.rows + y_row;
    const std::uint32_t end = static_cast<std::uint32_t>(
        min(static_cast<long long>(tile_tokens), static_cast<long long>(p.tokens - token0)));
#pragma unroll
    for (std::uint32_t t = 0; t < tile_tokens; t += step, y += step * e.rows)
      if (first + t < end) store_global16(y, load_shared_floats4(sums + sum_place<T>(first + t, row)));
    return;
  }
#pragma unroll 2
  for (std::uint32_t t = first; t < share; t += step) {
    if (token0 + t >= p.tokens) break;
    float4 sum = load_shared_floats4(sums + sum_place<T>(rank * share + t, row));
    if (splits > 1) {
      const float4 mine = sum;
      sum = make_float4(0, 0, 0, 0);
      std::uint32_t from = inbox + 4 * (t * T::rows + row);
#pragma unroll 1
      for (std::uint32_t r = 0; r < splits; ++r) {
        if (r == rank) {
          add(sum, mine);
        } else {
          add(sum, load_shared_floats4(from));
          from += slot_bytes;
        }
      }
    }
    if (whole)
      store_global16(e.y + (token0 + t) * e.rows + y_row, sum);
    else
      store_four_rows(e, y_row, token0 + t, sum);
  }
}

}  // namespace cross::kernels::cuda::row_lists
