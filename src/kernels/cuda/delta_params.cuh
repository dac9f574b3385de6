// What a launch of delta4 or delta8 brings, and how it lays out shared memory.
#pragma once

#include "kernels/cuda/delta_activations.cuh"
#include "kernels/cuda/epilogue.cuh"
#include "plan/formats/gpu/delta.h"

namespace cross::kernels::cuda::CROSS_GPU_ARCH {

using formats::gpu::delta_block_bytes;
using formats::gpu::delta_max_ctas;
using formats::gpu::delta_steps_bytes;
using formats::gpu::delta_tile_rows;
using formats::gpu::delta_warp_begin;
using formats::gpu::delta_warps;
using formats::gpu::DeltaDirectory;

/// Everything a launch needs; the CTAs' first blocks travel in it so that the first loads wait for no other.
template <class T>
struct DeltaParams {
  const std::byte* stream;
  const std::byte* directory;
  const std::int32_t* part_rows;
  const T* x;
  float* partial;          ///< [ctas][8 · part_tiles][pad], slices > 1 only
  std::uint32_t* arrived;  ///< [parts], zero between runs
  EpilogueArgs<T> epilogue;
  std::int64_t cols;
  std::int32_t tokens, slices, extent, part_tiles, max_pieces;
  std::uint32_t cta_block[delta_max_ctas + 1];
};

/// Shared memory, in this order: X, sums of pieces, the CTA's directory, the part's rows.
struct DeltaShared {
  std::uint32_t slots, directory, rows, bytes;
  __host__ __device__ DeltaShared(int bits, int pad, int extent, int max_pieces, int part_tiles)
      : slots(static_cast<std::uint32_t>(delta_x_bytes(bits, pad, extent))),
        directory(slots + static_cast<std::uint32_t>(max_pieces * delta_tile_rows * pad * 4)),
        rows(directory + DeltaDirectory(max_pieces, part_tiles).bytes),
        bytes(rows + static_cast<std::uint32_t>(part_tiles * delta_tile_rows * 4)) {}
};

}  // namespace cross::kernels::cuda::CROSS_GPU_ARCH
