// delta4 and delta8 → the dense matrix: a block decodes one tile of one slice into shared memory and stores
// its rows as they lie. Scattering single weights to memory instead would write a 32-byte sector for each.
#pragma once

#include "kernels/cuda/ptx.cuh"
#include "plan/formats/gpu/delta.h"

namespace cross::kernels::cuda::CROSS_GPU_ARCH {

inline constexpr int delta_expand_warps = 4;

struct DeltaExpandParams {
  const std::byte* stream;
  const std::byte* directory;
  const std::int32_t* part_rows;
  const std::uint32_t* cta_block;
  std::uint16_t* out;  ///< [rows, cols]
  std::int64_t cols;
  std::int32_t slices, extent, part_tiles, max_pieces;
};

/// Bytes of shared memory: eight rows of a slice.
constexpr std::size_t delta_expand_bytes(int extent) {
  return static_cast<std::size_t>(extent) * formats::gpu::delta_tile_rows * 2;
}

/// A lane's part of one quad of blocks that start at `stream`.
template <int bits>
struct DeltaQuad {
  static constexpr int block_bytes = formats::gpu::delta_block_bytes(bits);

  __device__ static std::uint32_t steps(const std::byte* stream, std::uint32_t quad, int lane) {
    const std::byte* block = stream + static_cast<std::uint64_t>(quad / 2) * block_bytes;
    if constexpr (bits == 4)  // one nibble a byte
      return __ldg(reinterpret_cast<const std::uint32_t*>(block) + lane) >> (quad % 2 * 4) & 0x0f0f0f0fu;
    else
      return __ldg(reinterpret_cast<const std::uint32_t*>(block) + 2 * lane + quad % 2);
  }
  /// Columns that the quad moves the lane by.
  __device__ static int length(std::uint32_t steps) {
    if constexpr (bits == 4)
      return static_cast<int>(__dp4a(steps, 0x01010101u, 4u));
    else
      return __dp4a(static_cast<int>(steps), 0x01010101, 0);
  }
  __device__ static uint2 values(const std::byte* stream, std::uint32_t quad, int lane) {
    const std::byte* at = stream + static_cast<std::uint64_t>(quad / 2) * block_bytes +
                          formats::gpu::delta_steps_bytes(bits) + formats::gpu::holding_lane(lane) * 16;
    return __ldg(reinterpret_cast<const uint2*>(at) + quad % 2);
  }
};

/// Block = (CTA of the packing, tile). Its warps share the tile's quads: each first adds up the steps before
/// its own.
template <int bits>
__global__ void __launch_bounds__(delta_expand_warps * 32)
    delta_expand_kernel(const __grid_constant__ DeltaExpandParams p) {
  using namespace formats::gpu;
  using Quad = DeltaQuad<bits>;
  extern __shared__ __align__(128) std::byte shared[];
  __shared__ std::int32_t rows[delta_tile_rows];
  auto* tile_rows = reinterpret_cast<std::uint16_t*>(shared);  // [8][extent]
  const int thread = static_cast<int>(threadIdx.x), lane = thread % 32, warp = thread / 32;
  const int cta = static_cast<int>(blockIdx.x) / p.part_tiles,
            tile = static_cast<int>(blockIdx.x) % p.part_tiles;
  const int part = cta / p.slices;
  const std::int64_t k_begin = static_cast<std::int64_t>(cta % p.slices) * p.extent;
  const DeltaDirectory layout(p.max_pieces, p.part_tiles);
  const std::byte* directory = p.directory + static_cast<std::size_t>(cta) * layout.bytes;
  const auto* piece_end = reinterpret_cast<const std::uint32_t*>(directory + layout.piece_end);
  const auto* piece_start = reinterpret_cast<const std::uint16_t*>(directory + layout.piece_start);
  const auto* tile_piece = reinterpret_cast<const std::uint16_t*>(directory + layout.tile_piece);
  const auto* row_place = reinterpret_cast<const std::uint16_t*>(directory + layout.row_place);

  if (thread < delta_tile_rows) rows[thread] = -1;
  for (int i = thread; i < p.extent * delta_tile_rows / 8; i += delta_expand_warps * 32)
    reinterpret_cast<uint4*>(shared)[i] = make_uint4(0, 0, 0, 0);
  __syncthreads();
  for (int r = thread; r < p.part_tiles * delta_tile_rows; r += delta_expand_warps * 32)
    if (const int place = row_place[r]; place / delta_tile_rows == tile && place != delta_no_row)
      rows[place % delta_tile_rows] = p.part_rows[part * p.part_tiles * delta_tile_rows + r];

  const int first = tile_piece[tile], last = tile_piece[tile + 1];
  if (first != last) {
    // Where a tile is cut a piece goes on, so the first start and the last end suffice.
    const std::byte* stream = p.stream + static_cast<std::uint64_t>(p.cta_block[cta]) * Quad::block_bytes;
    const std::uint32_t begin = first == 0 ? 0 : piece_end[first - 1], count = piece_end[last - 1] - begin;
    const std::uint32_t mine = begin + count * warp / delta_expand_warps;
    const std::uint32_t end = begin + count * (warp + 1) / delta_expand_warps;
    int position = piece_start[first * 32 + lane];
#pragma unroll 8
    for (std::uint32_t quad = begin; quad < mine; ++quad)
      position += Quad::length(Quad::steps(stream, quad, lane));
    std::uint16_t* row = tile_rows + gather_row(lane) * p.extent;
#pragma unroll 4
    for (std::uint32_t quad = mine; quad < end; ++quad) {
      const std::uint32_t steps = Quad::steps(stream, quad, lane);
      const uint2 values = Quad::values(stream, quad, lane);
#pragma unroll
      for (int s = 0; s < delta_quad_steps; ++s) {
        position += static_cast<std::int8_t>(steps >> (8 * s));
        const std::uint32_t pair = s < 2 ? values.x : values.y;
        const auto value = static_cast<std::uint16_t>(s % 2 == 0 ? pair : pair >> 16);
        if (value != 0) row[bits == 4 ? position : gather_position(position)] = value;
        if constexpr (bits == 4) ++position;
      }
    }
  }
  __syncthreads();

  const int extent = static_cast<int>(min(static_cast<std::int64_t>(p.extent), p.cols - k_begin));
  for (int r = warp; r < delta_tile_rows; r += delta_expand_warps) {
    if (rows[r] < 0) continue;
    std::uint16_t* to = p.out + rows[r] * p.cols + k_begin;
    const std::uint16_t* from = tile_rows + r * p.extent;
    if (p.cols % 8 == 0) {
#pragma unroll 4
      for (int c = lane * 8; c < extent; c += 256)
        *reinterpret_cast<uint4*>(to + c) = *reinterpret_cast<const uint4*>(from + c);
    } else {
      for (int c = lane; c < extent; c += 32) to[c] = from[c];
    }
  }
}

}  // namespace cross::kernels::cuda::CROSS_GPU_ARCH
