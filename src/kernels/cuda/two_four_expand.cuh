// two_four → dense: reads 9 bytes of a tile and writes 16, bound by memory.
#pragma once

#include "kernels/cuda/ptx.cuh"
#include "plan/formats/gpu/two_four.h"

namespace cross::kernels::cuda::CROSS_GPU_ARCH {

struct TwoFourExpandParams {
  const std::byte* tiles;
  std::uint16_t* out;  ///< [rows, cols]
  std::int64_t rows, cols;
  std::int64_t count;  ///< tiles
  std::int32_t k_tiles;
};

/// The four columns of a group. @param values  of its two slots. @param nibble  their columns, in the low
/// bits
__device__ __forceinline__ uint2 expanded_group(std::uint32_t values, std::uint32_t nibble) {
  const std::uint64_t four = static_cast<std::uint64_t>(values & 0xffffu) << (16 * (nibble & 3u)) |
                             static_cast<std::uint64_t>(values >> 16) << (16 * (nibble >> 2 & 3u));
  return make_uint2(static_cast<std::uint32_t>(four), static_cast<std::uint32_t>(four >> 32));
}

/// Two lanes that have 32 bytes each to write: one stores the first 32 with its neighbour, then the other 32,
/// so that every store fills whole sectors.
__device__ __forceinline__ void exchange_halves(uint4& first, uint4& second, bool odd) {
  uint4 given = odd ? first : second;
  given.x = __shfl_xor_sync(~0u, given.x, 1);
  given.y = __shfl_xor_sync(~0u, given.y, 1);
  given.z = __shfl_xor_sync(~0u, given.z, 1);
  given.w = __shfl_xor_sync(~0u, given.w, 1);
  (odd ? first : second) = given;
}

/// A warp writes a tile, eight rows at a time: a lane 16 columns, four lanes the 128 bytes of a row.
static __global__ void __launch_bounds__(256)
    two_four_expand_kernel(const __grid_constant__ TwoFourExpandParams p) {
  using namespace formats::gpu;
  const int lane = static_cast<int>(threadIdx.x) & 31, g = lane >> 2, piece = lane & 3;
  const std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * 8 + (threadIdx.x >> 5);
  if (i >= p.count) return;
  const std::uint64_t policy = evict_first_policy();
  const bool aligned = p.cols % 8 == 0, odd = piece % 2 != 0;
  const std::byte* tile = p.tiles + i * two_four_tile_bytes;
  const std::int64_t panel = i / p.k_tiles;
  const std::int64_t tile_col = (i - panel * p.k_tiles) * two_four_cols;
  std::uint32_t word[two_four_rows / 16];
  uint4 a[two_four_rows / 8];
#pragma unroll
  for (int strip = 0; strip < two_four_rows / 16; ++strip)
    word[strip] = __ldg(reinterpret_cast<const unsigned int*>(tile + two_four_metadata_at) +
                        two_four_word_index(16 * strip + g, 4 * piece));
#pragma unroll
  for (int atom = 0; atom < two_four_rows / 8; ++atom)
    a[atom] = load_once16(tile + two_four_value_index(8 * atom + g, 4 * piece) * 2, policy);
#pragma unroll
  for (int atom = 0; atom < two_four_rows / 8; ++atom) {
    const std::int64_t row = panel * two_four_rows + 8 * atom + g;
    const std::uint32_t nibbles = word[atom / 2] >> (16 * (atom % 2));
    const uint2 groups[4] = {expanded_group(a[atom].x, nibbles), expanded_group(a[atom].y, nibbles >> 4),
                             expanded_group(a[atom].z, nibbles >> 8),
                             expanded_group(a[atom].w, nibbles >> 12)};
    std::uint16_t* out = p.out + row * p.cols + tile_col;
    if (aligned) {
      uint4 first = make_uint4(groups[0].x, groups[0].y, groups[1].x, groups[1].y);
      uint4 second = make_uint4(groups[2].x, groups[2].y, groups[3].x, groups[3].y);
      exchange_halves(first, second, odd);
      const int at = piece / 2 * 32 + (odd ? 8 : 0);
      if (row < p.rows && tile_col + at < p.cols) *reinterpret_cast<uint4*>(out + at) = first;
      if (row < p.rows && tile_col + at + 16 < p.cols) *reinterpret_cast<uint4*>(out + at + 16) = second;
    } else if (row < p.rows) {
#pragma unroll
      for (int c = 0; c < 16; ++c) {
        const std::uint32_t two = c % 4 < 2 ? groups[c / 4].x : groups[c / 4].y;
        if (tile_col + piece * 16 + c < p.cols)
          out[piece * 16 + c] = static_cast<std::uint16_t>(two >> (16 * (c % 2)));
      }
    }
  }
}

}  // namespace cross::kernels::cuda::CROSS_GPU_ARCH
