// The dense unit of cross_panels: split-precision products on tensor cores.
//
//     W·x ≈ Wl·xh + Wh·xl + Wh·xh,   W = Wh + Wl and x = xh + xl in fp16, scaled per row and per token
//
// Weights are expanded and split in registers. Tensor cores truncate their sums, so these go to sums of CUDA
// cores every 256 columns.
#pragma once

#include "kernels/cuda/cross_panels_split.cuh"
#include "kernels/cuda/wgmma.cuh"

namespace cross::kernels::cuda::cross_panels {

/// Steps whose products are added up by tensor cores before CUDA cores take the sums.
inline constexpr int steps_a_sum = 4;

struct Lane {
  int lane, warp, half, g, t;  ///< half: of the CTA's share
  std::uint32_t bit, below;
  __device__ explicit Lane(int warp_group_thread, int which_half)
      : lane(warp_group_thread & 31),
        warp(warp_group_thread >> 5),
        half(which_half),
        g(lane >> 2),
        t(lane & 3),
        bit(1u << lane),
        below((1u << lane) - 1) {}
  /// In the CTA's share.
  __device__ int row() const { return half * cross_half_rows + warp * 16 + g; }
};

/// The piece's first row of this CTA.
__device__ __forceinline__ std::int64_t first_row(const CrossPiece& piece) {
  return static_cast<std::int64_t>(piece.panel) * cross_rows + share_of_cta() * cross_share_rows;
}

/// The float at `address` where `mask` has the lane's bit, else zero.
__device__ __forceinline__ float load_kept(std::uint32_t mask, std::uint32_t bit, std::uint32_t address) {
  float value;
  asm volatile(
      "{\n.reg .pred p;\n.reg .b32 m;\nand.b32 m, %1, %2;\nsetp.ne.b32 p, m, 0;\nmov.f32 %0, 0f00000000;\n"
      "@p ld.shared.f32 %0, [%3];\n}"
      : "=f"(value)
      : "r"(mask), "r"(bit), "r"(address));
  return value;
}

/// Weights of the lane's eight registers 8 s … 8 s + 7 of a half step at `base`.
__device__ __forceinline__ void load_weights(float (&w)[8], std::uint32_t base, int s, const Lane& l) {
  const std::uint32_t at = base + static_cast<std::uint32_t>(l.warp * cross_registers + 8 * s) * 4;
  const uint4 m0 = load_shared16(at), m1 = load_shared16(at + 16);
  const uint4 f = load_shared16(base + cross_masks_bytes +
                                static_cast<std::uint32_t>(l.warp * cross_registers + 8 * s) * 2);
  const std::uint32_t values = base + cross_half_header;
  const std::uint32_t mask[8] = {m0.x, m0.y, m0.z, m0.w, m1.x, m1.y, m1.z, m1.w};
  const std::uint32_t first[4] = {f.x, f.y, f.z, f.w};
#pragma unroll
  for (int e = 0; e < 8; ++e) {
    const std::uint32_t begin = e % 2 == 0 ? first[e / 2] & 0xffffu : first[e / 2] >> 16;
    const std::uint32_t before = static_cast<std::uint32_t>(__popc(mask[e] & l.below));
    w[e] = load_kept(mask[e], l.bit, values + begin + 4 * before);
  }
}

struct Fragment {
  std::uint32_t high[4], low[4];
};

__device__ __forceinline__ void split_weights(Fragment& a, const float (&w)[8], float scale0, float scale8) {
#pragma unroll
  for (int r = 0; r < 4; ++r) {
    const float scale = r % 2 == 0 ? scale0 : scale8;
    split_pair(w[2 * r] * scale, w[2 * r + 1] * scale, a.high[r], a.low[r]);
  }
}

__device__ __forceinline__ void hold(float (&r)[16][4]) {
#pragma unroll
  for (int i = 0; i < 16; ++i)
#pragma unroll
    for (int j = 0; j < 4; ++j) asm volatile("" : "+f"(r[i][j])::"memory");
}

/// Sums of one piece on tensor cores, in scaled units.
__device__ __forceinline__ void multiply_steps(float (&total)[16][4], const Params& p, const Shared& shared,
                                               Ring& ring, const CrossPiece& piece, const Lane& l) {
  const std::int32_t* exponents = p.row_exponents + first_row(piece) + l.row();
  const float scale0 = power_of_two(exponents[0]), scale8 = power_of_two(exponents[8]);
  float sums[16][4];
  Fragment a[2];
#pragma unroll
  for (int i = 0; i < 16; ++i)
#pragma unroll
    for (int j = 0; j < 4; ++j) total[i][j] = 0.0f, sums[i][j] = 0.0f;
#pragma unroll
  for (int i = 0; i < 2; ++i)
#pragma unroll
    for (int j = 0; j < 4; ++j) a[i].high[j] = 0, a[i].low[j] = 0;
  int added = 0;           // steps in sums
  std::uint32_t held = 0;  // barrier of the stage that unfinished products read; 0: none

  const auto take_sums = [&] {
    wgmma_wait<0>();
    hold(sums);
    if (held != 0) release_in_both(held, l.lane);
    held = 0;
    if (added == 0) return;
    added = 0;
#pragma unroll
    for (int i = 0; i < 16; ++i)
#pragma unroll
      for (int j = 0; j < 4; ++j) total[i][j] += sums[i][j];
  };

#pragma unroll 1
  for (std::uint32_t s = 0; s < piece.steps; ++s) {
    barrier_wait(shared.full + 8 * ring.stage, ring.parity);
    const uint2 bytes = load_shared8(shared.halves + 8 * ring.stage);
    const std::uint32_t base = shared.weights + ring.stage * p.step_bytes + (l.half == 0 ? 0 : bytes.x);
    if ((l.half == 0 ? bytes.x : bytes.y) == 0) {
      take_sums();
      release_in_both(shared.empty + 8 * ring.stage, l.lane);
      ring.next();
      continue;
    }
    const std::uint32_t x = shared.planes + ring.stage * planes_bytes;
#pragma unroll
    for (int k = 0; k < 4; ++k) {
      Fragment& f = a[k % 2];
      float w[8];
      load_weights(w, base, k, l);
      wgmma_wait<1>();
      hold_registers(f.high);
      hold_registers(f.low);
      if (k == 1 && held != 0) {
        release_in_both(held, l.lane);
        held = 0;
      }
      split_weights(f, w, scale0, scale8);
      const std::uint64_t high = swizzled_descriptor(x + 32 * k);
      const std::uint64_t low = swizzled_descriptor(x + plane_bytes + 32 * k);
      wgmma_fence();
      wgmma_wide(sums, f.low, high, added > 0 || k > 0);
      wgmma_wide(sums, f.high, low, true);
      wgmma_wide(sums, f.high, high, true);
      wgmma_commit();
    }
    held = shared.empty + 8 * ring.stage;
    ring.next();
    if (++added == steps_a_sum) take_sums();
  }
  take_sums();
}

/// Tokens with Inf or NaN: the lane's two rows of one token, weight by weight, so that pruned positions
/// contribute nothing. Slow, rare. @param x  the token's row @param half  of the panel's four
__device__ __noinline__ float2 multiply_exactly(const CrossStep* steps, std::uint32_t count,
                                                const std::byte* values, const float* x, int thread,
                                                int half) {
  const Lane l(thread, 0);
  float sum0 = 0.0f, sum8 = 0.0f;
  for (std::uint32_t s = 0; s < count; ++s) {
    const CrossStep& step = steps[s];
    std::uint32_t before = step.at;
    for (int h = 0; h < half; ++h) before += step.units[h];
    if (step.units[half] == 0) continue;
    const std::byte* base = values + static_cast<std::int64_t>(before) * cross_unit;
    for (int reg = 0; reg < cross_registers; ++reg) {
      const int at = l.warp * cross_registers + reg;
      const std::uint32_t mask = reinterpret_cast<const std::uint32_t*>(base)[at];
      if ((mask & l.bit) == 0) continue;
      const std::uint32_t first = reinterpret_cast<const std::uint16_t*>(base + cross_masks_bytes)[at];
      const float w =
          *reinterpret_cast<const float*>(base + cross_half_header + first + 4 * __popc(mask & l.below));
      const float v = x[static_cast<std::int64_t>(step.k_step) * cross_k + cross_fragment_col(l.lane, reg)];
      if (reg / 2 % 2 == 0)
        sum0 = fmaf(w, v, sum0);
      else
        sum8 = fmaf(w, v, sum8);
    }
  }
  sum0 += __shfl_xor_sync(~0u, sum0, 1);
  sum8 += __shfl_xor_sync(~0u, sum8, 1);
  sum0 += __shfl_xor_sync(~0u, sum0, 2);
  sum8 += __shfl_xor_sync(~0u, sum8, 2);
  return {sum0, sum8};
}

/// value · 2^exponent, |exponent| <= 252.
__device__ __forceinline__ float scaled_back(float value, std::int32_t exponent) {
  const std::int32_t half = exponent / 2;
  return value * power_of_two(half) * power_of_two(exponent - half);
}

/// Sums in scaled units → sums; tokens that are not finite from scratch.
__device__ __forceinline__ void finish_sums(float (&total)[16][4], const Params& p, const CrossPiece& piece,
                                            const Lane& l) {
  const std::int32_t first = static_cast<std::int32_t>(piece.tile) * cross_tokens;
  const std::int32_t* rows = p.row_exponents + first_row(piece) + l.row();
  const std::int32_t row0 = rows[0], row8 = rows[8];
#pragma unroll
  for (int i = 0; i < 16; ++i) {
    const int2 token = *reinterpret_cast<const int2*>(p.token_exponents + first + 8 * i + 2 * l.t);
    if (token.x != not_finite) {
      total[i][0] = scaled_back(total[i][0], -(row0 + token.x));
      total[i][2] = scaled_back(total[i][2], -(row8 + token.x));
    }
    if (token.y != not_finite) {
      total[i][1] = scaled_back(total[i][1], -(row0 + token.y));
      total[i][3] = scaled_back(total[i][3], -(row8 + token.y));
    }
  }
#pragma unroll 1
  for (int q = 0; q < tile_groups; ++q) {
    std::uint32_t flagged = __ballot_sync(~0u, p.token_exponents[first + 32 * q + l.lane] == not_finite);
    while (flagged != 0) {
      const int at = 32 * q + __ffs(static_cast<int>(flagged)) - 1;
      flagged &= flagged - 1;
      const float2 sum = multiply_exactly(p.steps + piece.first_step, piece.steps, p.values,
                                          p.x + static_cast<std::int64_t>(first + at) * p.cols,
                                          32 * l.warp + l.lane, 2 * share_of_cta() + l.half);
      // Selected, not branched to: a branch would index the sums, and they would leave their registers.
#pragma unroll
      for (int i = 0; i < 16; ++i) {
        const bool even = at == 8 * i + 2 * l.t, odd = at == 8 * i + 2 * l.t + 1;
        total[i][0] = even ? sum.x : total[i][0];
        total[i][1] = odd ? sum.x : total[i][1];
        total[i][2] = even ? sum.y : total[i][2];
        total[i][3] = odd ? sum.y : total[i][3];
      }
    }
  }
}

__device__ __forceinline__ void tensor_barrier() {
  asm volatile("bar.sync 1, %0;" ::"n"(tensor_threads) : "memory");
}

/// Out of line: 64 copies of it would be too much to unroll, and sums would leave their registers.
__device__ __noinline__ float activated(float v, Activation activation) { return activate(v, activation); }

__device__ __forceinline__ void store_sums(const float (&total)[16][4], const Params& p,
                                           const CrossPiece& piece, const Lane& l) {
  const EpilogueArgs<float>& e = p.epilogue;
  const std::int64_t row = first_row(piece) + l.row();
  const std::int32_t first = static_cast<std::int32_t>(piece.tile) * cross_tokens + 2 * l.t;
  const bool stored0 = row < e.rows, stored8 = row + 8 < e.rows;
  const float bias0 = e.bias != nullptr && stored0 ? e.bias[row] : 0.0f;
  const float bias8 = e.bias != nullptr && stored8 ? e.bias[row + 8] : 0.0f;
#pragma unroll
  for (int i = 0; i < 16; ++i)
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      const std::int32_t token = first + 8 * i + j % 2;
      if (token >= p.tokens || !(j < 2 ? stored0 : stored8)) continue;
      float sum = total[i][j];
      if (e.bias != nullptr) sum += j < 2 ? bias0 : bias8;
      if (e.activation != Activation::none) sum = activated(sum, e.activation);
      const std::int64_t at = token * e.rows + row + 8 * (j / 2);
      if (e.residual != nullptr) sum += e.residual[at];
      e.y[at] = sum;
    }
}

/// Leaves the piece's sums in its place; the last piece of a tile adds all of them in order. Whether this
/// one was the last.
__device__ __forceinline__ bool join_parts(float (&total)[16][4], const Params& p, const Shared& shared,
                                           const CrossPiece& piece, int thread) {
  constexpr int quads = tile_floats / 4;
  float4* tile = p.partials +
                 (static_cast<std::int64_t>(piece.first_slot) * cross_shares + share_of_cta()) * quads +
                 thread;
  const auto place = [&](int part) { return tile + static_cast<std::int64_t>(part) * cross_shares * quads; };
  std::uint32_t* counter = p.counters + cross_shares * piece.counter + share_of_cta();
#pragma unroll
  for (int i = 0; i < 16; ++i)
    __stcg(place(piece.part) + i * tensor_threads,
           make_float4(total[i][0], total[i][1], total[i][2], total[i][3]));
  __threadfence();
  tensor_barrier();
  if (thread == 0) store_shared4(shared.ticket, arrive(counter));
  tensor_barrier();
  const bool last = load_shared(shared.ticket) + 1 == piece.parts;
  tensor_barrier();  // before the next piece writes the ticket
  if (!last) return false;
  if (thread == 0) *counter = 0;
#pragma unroll
  for (int i = 0; i < 16; ++i)
#pragma unroll
    for (int j = 0; j < 4; ++j) total[i][j] = 0.0f;
#pragma unroll 1
  for (int part = 0; part < piece.parts; ++part) {
#pragma unroll
    for (int i = 0; i < 16; ++i) {
      const float4 one = __ldcg(place(part) + i * tensor_threads);
      total[i][0] += one.x, total[i][1] += one.y, total[i][2] += one.z, total[i][3] += one.w;
    }
  }
  return true;
}

/// What two warp groups do from beginning to end; `thread` of 256.
__device__ __forceinline__ void run_tensor_unit(const Params& p, const Shared& shared, std::uint32_t begin,
                                                std::uint32_t end, int thread) {
  const Lane l(thread & 127, thread >> 7);
  Ring ring(p.step_stages), sums(2);
  float total[16][4];
#pragma unroll 1
  for (std::uint32_t i = begin; i < end; ++i) {
    const CrossPiece piece = p.pieces[i];
    multiply_steps(total, p, shared, ring, piece, l);
    finish_sums(total, p, piece, l);
    if (chunks_of(piece) > 0) {
      barrier_wait(shared.sums_full + 8 * sums.stage, sums.parity);
      const float* from = p.gathered +
                          (static_cast<std::int64_t>(blockIdx.x) * 2 + sums.stage) * tile_floats +
                          l.row() * cross_tokens + 2 * l.t;
#pragma unroll
      for (int n = 0; n < 16; ++n) {
        const float2 a = __ldcg(reinterpret_cast<const float2*>(from + 8 * n));
        const float2 b = __ldcg(reinterpret_cast<const float2*>(from + 8 * n + 8 * cross_tokens));
        total[n][0] += a.x, total[n][1] += a.y, total[n][2] += b.x, total[n][3] += b.y;
      }
      barrier_arrive(shared.sums_empty + 8 * sums.stage);
      sums.next();
    }
    if (piece.parts > 1 && !join_parts(total, p, shared, piece, thread)) continue;
    store_sums(total, p, piece, l);
  }
}

}  // namespace cross::kernels::cuda::cross_panels
