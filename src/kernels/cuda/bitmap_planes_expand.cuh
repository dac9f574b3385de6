// out[rows, cols] = W, dense: a warp expands one block after the other. What bounds it is storing the dense
// bytes, so a block is put together in shared memory and stored row by row, 16 bytes a lane.
#pragma once

#include "kernels/cuda/bitmap_planes_decode.cuh"

namespace cross::kernels::cuda::CROSS_GPU_ARCH {

inline constexpr int bitmap_expand_warps = 4;

struct BitmapExpandParams {
  const std::uint32_t* index;
  const std::byte* blocks;
  std::uint16_t* out;
  std::int64_t rows, cols;
  std::int32_t k_blocks;
  std::int64_t count;  ///< blocks
  DecodeFactors factors;
};

__global__ void __launch_bounds__(bitmap_expand_warps * 32)
    bitmap_planes_expand_kernel(const __grid_constant__ BitmapExpandParams p) {
  // Rows of 128 weights, 16 bytes apart from a multiple of 128: lanes of different rows meet different banks.
  constexpr std::uint32_t row_bytes = formats::gpu::bitmap_planes_cols * 2 + 16;
  constexpr std::uint32_t in_bytes = (formats::gpu::bitmap_planes_max_block + 127) / 128 * 128;
  __shared__ __align__(128) std::byte in[bitmap_expand_warps][in_bytes];
  __shared__ __align__(128) std::byte out[bitmap_expand_warps][formats::gpu::bitmap_planes_rows * row_bytes];
  const int warp = threadIdx.x >> 5, lane = threadIdx.x & 31;
  const std::uint32_t block = shared_address(in[warp]), rows = shared_address(out[warp]);
  const std::uint64_t policy = evict_first_policy();
  const bool aligned = p.cols % 8 == 0;
  const std::int64_t warps = static_cast<std::int64_t>(gridDim.x) * bitmap_expand_warps;
  for (std::int64_t b = static_cast<std::int64_t>(blockIdx.x) * bitmap_expand_warps + warp; b < p.count;
       b += warps) {
    const std::uint32_t begin = p.index[b];
    const std::uint32_t bytes = (p.index[b + 1] - begin) * formats::gpu::bitmap_planes_align;
    const std::byte* from = p.blocks + static_cast<std::uint64_t>(begin) * formats::gpu::bitmap_planes_align;
    for (std::uint32_t at = static_cast<std::uint32_t>(lane) * 16; at < bytes; at += 512)
      copy16_async(block + at, from + at, policy);
    commit_copies();
    wait_copies<0>();
    __syncwarp();
    std::uint32_t mask[2];
    ValueWindow window = open_block(block, lane, mask);
#pragma unroll
    for (int s = 0; s < formats::gpu::bitmap_planes_steps; ++s) {
      std::uint32_t a[4];
      window.step(mask[s / 4], s % 4, p.factors, a);
      const std::uint32_t at = rows + static_cast<std::uint32_t>(lane >> 2) * row_bytes +
                               static_cast<std::uint32_t>(s * 32 + (lane & 3) * 4);
      store_shared4(at, a[0]);
      store_shared4(at + 8 * row_bytes, a[1]);
      store_shared4(at + 16, a[2]);
      store_shared4(at + 8 * row_bytes + 16, a[3]);
    }
    __syncwarp();
    const std::int64_t row0 = b / p.k_blocks * formats::gpu::bitmap_planes_rows;
    const std::int64_t col0 = b % p.k_blocks * formats::gpu::bitmap_planes_cols;
#pragma unroll
    for (int i = 0; i < 8; ++i) {
      const int r = 2 * i + (lane >> 4), c = (lane & 15) * 8;
      if (row0 + r >= p.rows || col0 + c >= p.cols) continue;
      const uint4 v =
          load_shared16(rows + static_cast<std::uint32_t>(r) * row_bytes + static_cast<std::uint32_t>(c) * 2);
      std::uint16_t* to = p.out + (row0 + r) * p.cols + col0 + c;
      if (aligned) {
        *reinterpret_cast<uint4*>(to) = v;
      } else {
        const std::uint32_t words[4] = {v.x, v.y, v.z, v.w};
#pragma unroll
        for (int j = 0; j < 8; ++j)
          if (col0 + c + j < p.cols) to[j] = static_cast<std::uint16_t>(words[j / 2] >> (16 * (j % 2)));
      }
    }
    __syncwarp();
  }
}

}  // namespace cross::kernels::cuda::CROSS_GPU_ARCH
