// Columns of x that the CTAs of a product turn together, before they multiply.
#pragma once

#include "kernels/cuda/prefill/pipeline.cuh"
#include "kernels/cuda/prefill/transpose_columns.cuh"

namespace cross::kernels::cuda {

/// How CTAs know that all columns are there: two counters in memory, zero before and after.
struct ColumnTurning {
  std::uint32_t* turned;  ///< CTAs that have turned their share; nullptr: a kernel in front turns all
  std::uint32_t* passed;  ///< warps that need to know it no more
  std::int32_t turners;   ///< CTAs of the launch that turns
  std::int32_t warps;     ///< that will pass, of all launches
};

/// Units first, first + step, … of x, by one warp: while one is stored the next is on its way.
__device__ __forceinline__ void turn_columns(const TransposeArgs& args, std::int64_t first, std::int64_t step,
                                             int lane) {
  const std::int64_t units = transposed_blocks(args.tokens) * args.strips;
  const auto loaded = [&](std::int64_t u) {
    TransposedUnit unit(args, u, lane);
    if (unit.any()) unit.load(args);
    return unit;
  };
  if (first >= units) return;
  TransposedUnit unit = loaded(first);
#pragma unroll 1
  for (std::int64_t u = first; u < units; u += 2 * step) {
    const TransposedUnit next = loaded(u + step);
    unit.store(args);
    unit = loaded(u + 2 * step);
    next.store(args);
  }
}

/// A warp waits until all columns are there. CTAs that have not begun may never do so while this one holds
/// its place: after about a millisecond the warp turns all columns itself, whoever else does.
__device__ __forceinline__ void wait_until_turned(const ColumnTurning& turning, const TransposeArgs& args,
                                                  int lane) {
  constexpr int patience = 1000;
  bool turned = false;
  for (int tries = 0; !turned && tries < patience; ++tries) {
    std::uint32_t now = 0;
    if (lane == 0)
      asm volatile("ld.acquire.gpu.global.u32 %0, [%1];" : "=r"(now) : "l"(turning.turned) : "memory");
    turned = __shfl_sync(~0u, now, 0) == static_cast<std::uint32_t>(turning.turners);
  }
  if (!turned) turn_columns(args, 0, 1, lane);
  __syncwarp();
  // The last warp to pass leaves zeros.
  if (lane == 0) {
    std::uint32_t before;
    asm volatile("atom.acq_rel.gpu.global.inc.u32 %0, [%1], %2;"
                 : "=r"(before)
                 : "l"(turning.passed), "r"(turning.warps - 1)
                 : "memory");
    if (before + 1 == static_cast<std::uint32_t>(turning.warps))
      asm volatile("st.relaxed.gpu.global.u32 [%0], 0;" ::"l"(turning.turned) : "memory");
  }
  __syncwarp();
}

}  // namespace cross::kernels::cuda
