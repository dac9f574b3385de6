// y = activation(W·x + bias) + residual in fp32 on tensor cores that multiply fp16, for format split_blocks,
// where there is enough to do for every SM for long:
//
//     x·W ≈ xl·Wh + xh·Wl + xh·Wh,   W = Wh + Wl and x = xh + xl in fp16, scaled per row and per token
//
// A kernel in front splits x. One persistent CTA an SM then has a contiguous range of all blocks of all
// tiles; two warp groups multiply, operands of x in registers, and two write weights into shared memory.
#pragma once

#include "kernels/cuda/split_blocks_wide_sums.cuh"
#include "kernels/cuda/split_blocks_wide_weights.cuh"
#include "kernels/cuda/split_blocks_wide_x.cuh"

namespace cross::kernels::cuda::split_blocks_wide {

__device__ __forceinline__ void hold(float (&r)[16][4]) {
#pragma unroll
  for (int i = 0; i < 16; ++i) hold_registers(r[i]);
}

/// Steps of 16 columns of a unit.
inline constexpr int steps = unit_blocks * split_k / 16;
inline constexpr std::int64_t x_unit_bytes = unit_blocks * x_block_bytes;

/// Where a lane finds x of a piece's first unit.
__device__ __forceinline__ const std::byte* x_of(const Params& p, const Piece& piece, const Lane& l) {
  return p.split_x +
         (static_cast<std::int64_t>(piece.token_tile * groups + l.group) * p.k_units + piece.begin) *
             x_unit_bytes +
         l.warp * x_warp_bytes + l.lane * 16;
}

/// Sums of one piece, in scaled units. `x` has all but the last step of its first unit; afterwards of the one
/// at `after`.
__device__ __forceinline__ void multiply_piece(float (&total)[16][4], Fragment (&x)[steps], const Params& p,
                                               const Shared& shared, Ring& ring, const Piece& piece,
                                               const std::byte* after, const Lane& l) {
  float sums[16][4];
#pragma unroll
  for (int i = 0; i < 16; ++i)
#pragma unroll
    for (int j = 0; j < 4; ++j) total[i][j] = 0.0f, sums[i][j] = 0.0f;
  const std::byte* at = x_of(p, piece, l);
  std::uint32_t held = 0;  // barrier of the buffer that unfinished products read; 0: none
  bool add = false;        // to what is in sums
  // The groups take sums at different times, and tensor cores always have something to do.
  int left = units_a_sum - l.group;

#pragma unroll 1
  for (std::int32_t unit = piece.begin; unit < piece.end; ++unit) {
    const std::byte* next = unit + 1 < piece.end ? at + x_unit_bytes : after;
#pragma unroll
    for (int s = 0; s < steps; ++s) {
      // Complete from the second time on a buffer: a boundary for the compiler, which would let the loads of
      // x below sink to the end of the unit.
      barrier_wait(shared.full + 8 * ring.stage, ring.parity);
      const std::uint32_t buffer =
          shared.buffers + ring.stage * buffer_bytes + 32 * static_cast<std::uint32_t>(s % 4);
      const std::uint64_t high = swizzled_descriptor(buffer), low = swizzled_descriptor(buffer + part_bytes);
      wgmma_fence();
      wgmma_wide(sums, x[s].low, high, add || s > 0);
      wgmma_wide(sums, x[s].high, low, true);
      wgmma_wide(sums, x[s].high, high, true);
      wgmma_commit();
      // The products before these are done, and their operands free.
      wgmma_wait<1>();
      x[(s + steps - 1) % steps].hold();
      if (s % 4 == 0 && held != 0) warp_arrives(held, l.lane);
      if (s == 0)
        x[steps - 1].load(at + (steps - 1) * x_step_bytes);
      else
        x[s - 1].load(next + (s - 1) * x_step_bytes);
      if (s % 4 == 3) {
        held = shared.empty + 8 * ring.stage;
        ring.next();
      }
    }
    at = next;
    add = true;
    if (--left > 0 && unit + 1 < piece.end) continue;
    wgmma_wait<0>();
    hold(sums);
    warp_arrives(held, l.lane);
    held = 0;
    add = false;
    left = units_a_sum;
#pragma unroll
    for (int i = 0; i < 16; ++i)
#pragma unroll
      for (int j = 0; j < 4; ++j) total[i][j] += sums[i][j];
  }
}

__device__ __forceinline__ void multiply_all(const Params& p, const Shared& shared, std::int64_t unit,
                                             std::int64_t last_unit, int thread) {
  const Lane l(thread);
  Ring ring;
  float total[16][4];
  Fragment x[steps];
  {
    const std::byte* at = x_of(p, Piece(p, unit, last_unit), l);
#pragma unroll
    for (int s = 0; s < steps - 1; ++s) x[s].load(at + s * x_step_bytes);
#pragma unroll
    for (int r = 0; r < 4; ++r) x[steps - 1].high[r] = x[steps - 1].low[r] = 0;
  }
#pragma unroll 1
  while (unit < last_unit) {
    const Piece piece(p, unit, last_unit);
    unit += piece.end - piece.begin;
    const std::byte* after =
        unit < last_unit ? x_of(p, Piece(p, unit, last_unit), l) : x_of(p, piece, l);  // the latter in vain
    multiply_piece(total, x, p, shared, ring, piece, after, l);
    replace_exactly(total, p, shared, piece, l);
    if (join_parts(total, p, piece, l)) store_sums(total, p, piece, l);
  }
}

static __global__ void __launch_bounds__(threads, 1) kernel(const __grid_constant__ Params p) {
  extern __shared__ __align__(1024) std::byte memory[];
  const Shared shared((shared_address(memory) + 1023) & ~1023u);
  if (threadIdx.x == 0) {
    for (std::uint32_t s = 0; s < stages; ++s) {
      barrier_init(shared.full + 8 * s, group_threads / 32);
      barrier_init(shared.empty + 8 * s, multiplying / 32);
    }
    fence_barrier_init();
  }
  __syncthreads();
  const std::int64_t unit = first_unit(p, blockIdx.x), last_unit = first_unit(p, blockIdx.x + 1);
  const int warp_group = static_cast<int>(threadIdx.x) >> 7;
  if (warp_group < groups) {
    asm volatile("setmaxnreg.inc.sync.aligned.u32 216;");
    wait_for_predecessor();
    multiply_all(p, shared, unit, last_unit, static_cast<int>(threadIdx.x));
  } else {
    // Weights do not wait for x.
    asm volatile("setmaxnreg.dec.sync.aligned.u32 40;");
    write_weights(p, shared, unit, last_unit, warp_group - groups, static_cast<int>(threadIdx.x) & 127);
  }
}

}  // namespace cross::kernels::cuda::split_blocks_wide
