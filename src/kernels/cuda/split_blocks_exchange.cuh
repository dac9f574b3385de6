// How the CTAs of a cluster, which share K, add up their sums and store y.
#pragma once

#include <type_traits>

#include "kernels/cuda/split_blocks_types.cuh"

namespace cross::kernels::cuda::split_blocks {

/// Before a CTA's first barrier, by all of its threads: what others will send is counted from here on.
template <class T>
__device__ __forceinline__ void expect_sums(const Params& p, std::uint32_t base, bool one_thread) {
  if (p.split_bits == 0) return;
  if (one_thread) {
    make_counter(base + T::counter_at, 1);
    announce(base + T::counter_at, (T::tokens - (T::tokens >> p.split_bits)) * T::rows * 4);
  }
  __syncwarp();
  cluster_arrive_relaxed();
}

/// Adds up the sums of the cluster and stores y: every CTA its share of the tokens, in the order of K. What
/// others finish is sent to them, and counted where it arrives.
/// @param own  (token of the tile, row of the tile, a multiple of 4): this CTA's sums, scaled back
template <class T, class Own>
__device__ __forceinline__ void store_sums(const Params& p, std::uint32_t base, const Own& own) {
  const std::uint32_t row = threadIdx.x % T::quads * 4, rank = blockIdx.x;
  const std::uint32_t splits = 1u << p.split_bits,
                      share = static_cast<std::uint32_t>(T::tokens) >> p.split_bits;
  constexpr std::uint32_t step = T::threads / T::quads;
  const EpilogueArgs<float>& e = p.epilogue;
  const std::uint32_t inbox = base + T::inbox_at, counter = base + T::counter_at;
  const std::uint32_t slot_bytes = 4 * share * T::rows;  // of an inbox: one for each other CTA, in order
  if (splits > 1) {
    cluster_wait();
#pragma unroll 1
    for (std::uint32_t d = 1; d < splits; ++d) {
      const std::uint32_t owner = (rank + d) & (splits - 1);
      const std::uint32_t to = in_cta(inbox, static_cast<int>(owner)) +
                               (rank < owner ? rank : rank - 1) * slot_bytes,
                          their_counter = in_cta(counter, static_cast<int>(owner));
#pragma unroll 4
      for (std::uint32_t t = threadIdx.x / T::quads; t < share; t += step)
        store_counted(to + 4 * (t * T::rows + row), own(owner * share + t, row), their_counter);
    }
  }
  const std::int64_t y_row = static_cast<std::int64_t>(blockIdx.y) * T::rows + row;
  const bool whole = y_row + 4 <= e.rows && e.rows % 4 == 0 &&
                     (reinterpret_cast<std::uintptr_t>(e.y) & 15) == 0 && e.bias == nullptr &&
                     e.residual == nullptr && e.activation == Activation::none;
  bool waits = splits > 1;
  // All loads are on their way before the first is needed.
  const auto finish = [&]<int count>(std::uint32_t first, std::integral_constant<int, count>) {
    float4 sum[count];
#pragma unroll
    for (int i = 0; i < count; ++i) sum[i] = own(rank * share + first + i * step, row);
    if (splits > 1) {
      if (waits) wait_counter(counter);
      waits = false;
#pragma unroll
      for (int i = 0; i < count; ++i) {
        const float4 mine = sum[i];
        sum[i] = make_float4(0, 0, 0, 0);
        std::uint32_t from = inbox + 4 * ((first + i * step) * T::rows + row);
#pragma unroll 1
        for (std::uint32_t r = 0; r < splits; ++r) {
          float4 part = mine;
          if (r != rank) part = load_shared_floats4(from), from += slot_bytes;
          sum[i].x += part.x, sum[i].y += part.y, sum[i].z += part.z, sum[i].w += part.w;
        }
      }
    }
#pragma unroll
    for (int i = 0; i < count; ++i) {
      const std::int64_t token =
          static_cast<std::int64_t>(blockIdx.z) * T::tokens + rank * share + first + i * step;
      if (token >= p.tokens || y_row >= e.rows) continue;
      if (whole)
        *reinterpret_cast<float4*>(e.y + token * e.rows + y_row) = sum[i];
      else
        store_four_rows(e, y_row, token, sum[i]);
    }
  };
  std::uint32_t t = threadIdx.x / T::quads;
#pragma unroll 1
  for (; t + 3 * step < share; t += 4 * step) finish(t, std::integral_constant<int, 4>{});
#pragma unroll 1
  for (; t < share; t += step) finish(t, std::integral_constant<int, 1>{});
  // Nobody leaves before what is sent to it has come.
  if (waits) wait_counter(counter);
}

/// 2^-e of four neighbouring rows.
__device__ __forceinline__ float4 row_scale(const uint4& exponent) {
  const auto scale = [](std::uint32_t e) { return power_of_two(-static_cast<std::int32_t>(e)); };
  return make_float4(scale(exponent.x), scale(exponent.y), scale(exponent.z), scale(exponent.w));
}

}  // namespace cross::kernels::cuda::split_blocks
