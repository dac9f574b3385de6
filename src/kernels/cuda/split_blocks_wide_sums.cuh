// What the warp groups that multiply do with the sums of a piece: tokens with Inf or NaN, parts of K that
// other CTAs have, and y.
#pragma once

#include "kernels/cuda/split_blocks_wide_types.cuh"

namespace cross::kernels::cuda::split_blocks_wide {

/// A thread of those that multiply: its warp group's 64 tokens, two of which it has.
struct Lane {
  int group, thread, warp, lane, g, t;
  __device__ explicit Lane(int thread_of_all)
      // The same in all lanes, and the compiler has to know it.
      : group(__shfl_sync(~0u, thread_of_all >> 7, 0)),
        thread(thread_of_all & 127),
        warp(thread >> 5),
        lane(thread & 31),
        g(lane >> 2),
        t(lane & 3) {}
  /// The first of two neighbours in the tile.
  __device__ int token() const { return group * group_tokens + warp * 16 + 2 * g; }
};

__device__ __forceinline__ void group_barrier(const Lane& l) {
  asm volatile("bar.sync %0, %1;" ::"r"(4 + l.group), "n"(group_threads) : "memory");
}

/// Σ w · x over the kept weights of a row in a piece, in the row's scale. Slow, rare, and out of line.
/// @param row  of the panel  @param x  the token's
static __device__ __noinline__ float multiply_exactly(const Params& p, const Piece& piece, int row,
                                                      const float* x) {
  float sum = 0.0f;
  const std::int32_t end = min(unit_blocks * piece.end, p.k_blocks);
  for (std::int32_t k = unit_blocks * piece.begin; k < end; ++k) {
    const std::uint32_t* at =
        p.begin + 2 * (static_cast<std::int64_t>(piece.panel) * p.k_blocks + k) + row / split_half_rows;
    std::uint32_t before = ~0u;
    for (std::uint32_t quad = at[0]; quad < at[1]; ++quad) {
      const uint4 parts = __ldg(p.parts + quad);
      const uint2 places = __ldg(p.places + quad);
      const std::uint32_t part[4] = {parts.x, parts.y, parts.z, parts.w};
      const std::uint32_t place[4] = {places.x & 0xffffu, places.x >> 16, places.y & 0xffffu, places.y >> 16};
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const bool filling = place[i] == before;
        before = place[i];
        if (filling || split_place_row(place[i]) != row) continue;
        const float w = widen<__half>(part[i], 0) + widen<__half>(part[i], 1);
        sum = fmaf(w, x[static_cast<std::int64_t>(k) * split_k + split_place_col(place[i])], sum);
      }
    }
  }
  return sum;
}

/// Replaces the sums of tokens that hold Inf or NaN, a thread a row.
__device__ __forceinline__ void replace_exactly(float (&total)[16][4], const Params& p, const Shared& shared,
                                                const Piece& piece, const Lane& l) {
  const std::int32_t first = piece.token_tile * tile_tokens + l.group * group_tokens;
  const std::uint32_t exact = shared.exact + static_cast<std::uint32_t>(l.group * split_rows * 4);
  // All four warps find the same tokens.
  const int2 exponents = reinterpret_cast<const int2*>(p.token_exponents + first)[l.lane];
#pragma unroll 1
  for (int odd = 0; odd < 2; ++odd) {
    std::uint32_t flagged = __ballot_sync(~0u, (odd == 0 ? exponents.x : exponents.y) == not_finite);
    while (flagged != 0) {
      const int at = 2 * (__ffs(static_cast<int>(flagged)) - 1) + odd;
      flagged &= flagged - 1;
      const float sum =
          multiply_exactly(p, piece, l.thread, p.x + static_cast<std::int64_t>(first + at) * p.cols);
      store_shared4(exact + static_cast<std::uint32_t>(4 * l.thread), __float_as_uint(sum));
      group_barrier(l);
#pragma unroll
      for (int h = 0; h < 2; ++h) {
        const bool mine = at == l.warp * 16 + 2 * l.g + h;
        // Selected, not branched to: a branch would index the sums, and they would leave their registers.
#pragma unroll
        for (int i = 0; i < 16; ++i) {
          const float2 pair = load_shared_floats(exact + static_cast<std::uint32_t>(4 * (8 * i + 2 * l.t)));
          total[i][2 * h] = mine ? pair.x : total[i][2 * h];
          total[i][2 * h + 1] = mine ? pair.y : total[i][2 * h + 1];
        }
      }
      group_barrier(l);
    }
  }
}

__device__ __forceinline__ std::uint32_t load_acquired(const std::uint32_t* counter) {
  std::uint32_t value;
  asm volatile("ld.acquire.gpu.global.u32 %0, [%1];" : "=r"(value) : "l"(counter) : "memory");
  return value;
}

/// Sums of a tile that several CTAs share: whoever has its first block adds all, in the order of K, and goes
/// on (true). Only the last piece of a CTA is waited in, and only for first pieces of later CTAs: what is
/// waited for never waits.
__device__ __forceinline__ bool join_parts(float (&total)[16][4], const Params& p, const Piece& piece,
                                           const Lane& l) {
  const std::int32_t first = cta_of(p, piece.tile * p.k_units),
                     last = cta_of(p, (piece.tile + 1) * p.k_units - 1);
  if (first == last) return true;
  const auto place = [&](std::int32_t of) {
    return p.partials + static_cast<std::int64_t>(of) * 16 * multiplying + l.group * group_threads + l.thread;
  };
  std::uint32_t* counter = p.counters + first * groups + l.group;
  if (piece.begin > 0) {
    float4* to = place(static_cast<std::int32_t>(blockIdx.x));
#pragma unroll
    for (int i = 0; i < 16; ++i)
      __stcg(to + i * multiplying, make_float4(total[i][0], total[i][1], total[i][2], total[i][3]));
    __syncwarp();
    if (l.lane == 0) {
      __threadfence();
      asm volatile("red.relaxed.gpu.global.add.u32 [%0], 1;" ::"l"(counter) : "memory");
    }
    return false;
  }
  const auto arrivals = static_cast<std::uint32_t>(last - first) * (group_threads / 32);
  while (load_acquired(counter) != arrivals) {
  }
  group_barrier(l);
  if (l.thread == 0) *counter = 0;
#pragma unroll 1
  for (std::int32_t of = first + 1; of <= last; ++of)
#pragma unroll
    for (int i = 0; i < 16; ++i) {
      const float4 one = __ldcg(place(of) + i * multiplying);
      total[i][0] += one.x, total[i][1] += one.y, total[i][2] += one.z, total[i][3] += one.w;
    }
  return true;
}

/// Out of line: it would be unrolled 32 times, and instructions have to come from memory too.
static __device__ __noinline__ void finish_pair(const EpilogueArgs<float>& e, std::int64_t row,
                                                std::int64_t token, float2 sum) {
  if (row < e.rows) store_output(e, row, token, sum.x);
  if (row + 1 < e.rows) store_output(e, row + 1, token, sum.y);
}

/// Scales back and stores. Four lanes have 32 bytes of a token next to each other.
__device__ __forceinline__ void store_sums(const float (&total)[16][4], const Params& p, const Piece& piece,
                                           const Lane& l) {
  const EpilogueArgs<float>& e = p.epilogue;
  const std::int64_t row0 = static_cast<std::int64_t>(piece.panel) * split_rows + 2 * l.t;
  const std::int32_t token = piece.token_tile * tile_tokens + l.token();
  float unscale[2];
#pragma unroll
  for (int h = 0; h < 2; ++h) {
    const std::int32_t exponent = p.token_exponents[token + h];
    unscale[h] = exponent == not_finite ? 1.0f : power_of_two(-exponent);
  }
  int2 exponent[16];
#pragma unroll
  for (int i = 0; i < 16; ++i)
    exponent[i] = __ldg(reinterpret_cast<const int2*>(p.row_exponents + row0 + 8 * i));
  const bool plain = e.bias == nullptr && e.residual == nullptr && e.activation == Activation::none &&
                     e.rows % 2 == 0 && (reinterpret_cast<std::uintptr_t>(e.y) & 7) == 0;
#pragma unroll
  for (int i = 0; i < 16; ++i) {
    const std::int64_t row = row0 + 8 * i;
    const float scale0 = power_of_two(-exponent[i].x), scale1 = power_of_two(-exponent[i].y);
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      if (token + h >= p.tokens || row >= e.rows) continue;
      const float2 sum =
          make_float2(total[i][2 * h] * scale0 * unscale[h], total[i][2 * h + 1] * scale1 * unscale[h]);
      if (plain)
        *reinterpret_cast<float2*>(e.y + static_cast<std::int64_t>(token + h) * e.rows + row) = sum;
      else
        finish_pair(e, row, token + h, sum);
    }
  }
}

}  // namespace cross::kernels::cuda::split_blocks_wide
