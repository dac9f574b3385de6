// two_four → dense: reads 9 bytes of a block and writes 16, bound by memory.
#pragma once

#include "kernels/cuda/ptx.cuh"
#include "plan/formats/gpu/two_four.h"

namespace cross::kernels::cuda::CROSS_GPU_ARCH {

struct TwoFourExpandParams {
  const std::byte* blocks;
  std::uint16_t* out;  ///< [rows, cols]
  std::int64_t rows, cols;
  std::int64_t count;  ///< blocks
  std::int32_t k_blocks;
};

/// A warp writes a block: a lane four columns at a time, four lanes 32 neighbouring bytes.
static __global__ void __launch_bounds__(256)
    two_four_expand_kernel(const __grid_constant__ TwoFourExpandParams p) {
  using namespace formats::gpu;
  const int lane = static_cast<int>(threadIdx.x) & 31, g = lane >> 2, t = lane & 3, quad = lane & ~3;
  const std::int64_t b = static_cast<std::int64_t>(blockIdx.x) * 8 + (threadIdx.x >> 5);
  if (b >= p.count) return;
  const std::uint64_t policy = evict_first_policy();
  const bool aligned = p.cols % 4 == 0;
  const std::byte* at = p.blocks + b * two_four_block_bytes + lane * 16;
  const std::int64_t panel = b / p.k_blocks;
  const std::int64_t block_row = panel * two_four_rows, block_col = (b - panel * p.k_blocks) * two_four_cols;
  const uint4 words = load_once16(at + two_four_metadata_at, policy);
#pragma unroll
  for (int s = 0; s < two_four_steps; ++s) {
    const std::uint32_t own = s == 0 ? words.x : s == 1 ? words.y : s == 2 ? words.z : words.w;
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const uint4 a = load_once16(at + (2 * s + half) * two_four_fragment_bytes, policy);
      const std::uint32_t low = __shfl_sync(~0u, own, quad + 2 * half);
      const std::uint32_t high = __shfl_sync(~0u, own, quad + 2 * half + 1);
#pragma unroll
      for (int r = 0; r < 4; ++r) {
        const std::uint32_t values = r == 0 ? a.x : r == 1 ? a.y : r == 2 ? a.z : a.w;
        const std::uint32_t nibble = (r < 2 ? low : high) >> (16 * (r & 1) + 4 * t);
        const std::uint64_t four = static_cast<std::uint64_t>(values & 0xffffu) << (16 * (nibble & 3u)) |
                                   static_cast<std::uint64_t>(values >> 16) << (16 * (nibble >> 2 & 3u));
        const std::int64_t row = block_row + 16 * half + g + 8 * (r & 1);
        const std::int64_t col = block_col + 32 * s + 4 * (t + 4 * (r >> 1));
        if (row >= p.rows || col >= p.cols) continue;
        std::uint16_t* out = p.out + row * p.cols + col;
        if (aligned) {
          *reinterpret_cast<std::uint64_t*>(out) = four;
        } else {
#pragma unroll 1
          for (int c = 0; c < 4 && col + c < p.cols; ++c)
            out[c] = static_cast<std::uint16_t>(four >> (16 * c));
        }
      }
    }
  }
}

}  // namespace cross::kernels::cuda::CROSS_GPU_ARCH
