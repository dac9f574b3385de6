// Format bitmap_planes: one mask bit per position in the order of a tensor-core fragment, then the kept
// values with their low and high bytes apart. Made for kernels that expand weights in registers;
// docs/gpu/bitmap_planes.md tells why.
//
// W is cut into *blocks* of 16 rows x 128 columns. A block is what the A operand of eight mma m16n8k16 holds:
// lane 4 g + t of a warp has, in step s (16 columns), the weights of rows g and g + 8 at the columns
//
//     16 s + {2 t, 2 t + 1, 2 t + 8, 2 t + 9}        fragment positions i = 0 … 3
//
//   block   u16 start[8]         kept values before those of lane 4 g, g = 0 … 7
//           u32 mask[32][2]      lane; steps 0 … 3 and 4 … 7. Bit 16 + 4 i + s mod 4: row g, position i; bit
//                                4 i + s mod 4: row g + 8. The four bits of a step and row stand a nibble
//                                apart: one multiplication makes them the four selectors of a byte
//                                permutation.
//           u8  unit[][2][4]     low bytes of four kept values, then their high bytes. Values follow each
//           other by
//                                lane, step, row (g, g + 8), position; the last unit is filled up with zeros.
//
// Blocks stand tile by tile (16 rows; a multiple of four tiles, the last may be empty), in a tile by column,
// each at a multiple of 16 bytes.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "plan/formats/gpu/packed.h"

namespace cross::formats::gpu {

inline constexpr int bitmap_planes_rows = 16;   ///< of a block
inline constexpr int bitmap_planes_cols = 128;  ///< of a block
inline constexpr int bitmap_planes_tiles = 4;   ///< what a warp group works on at once
inline constexpr int bitmap_planes_lanes = 32;
inline constexpr int bitmap_planes_steps = 8;  ///< of 16 columns, in a block
/// Where masks and values begin in a block.
inline constexpr int bitmap_planes_mask_at = 16;
inline constexpr int bitmap_planes_values_at = bitmap_planes_mask_at + 8 * bitmap_planes_lanes;
/// Blocks begin at multiples of this, as bulk copies ask for.
inline constexpr int bitmap_planes_align = 16;
inline constexpr int bitmap_planes_max_block =
    bitmap_planes_values_at + 2 * bitmap_planes_rows * bitmap_planes_cols + 16;

struct BitmapPlanesHeader : BlobHeader {
  std::int32_t tiles = 0;     ///< of 16 rows, a multiple of bitmap_planes_tiles
  std::int32_t k_blocks = 0;  ///< of 128 columns
  /// The GPU that the launch is planned for: its SMs and its shared memory per block.
  std::int32_t sms = 0;
  std::uint32_t shared_bytes = 0;
  std::uint32_t max_block_bytes = 0;  ///< of the largest block
  std::uint32_t reserved = 0;
  // Offsets from the start of the blob, multiples of 128.
  std::uint64_t index =
      0;  ///< u32[tiles · k_blocks + 1]: where blocks begin in `blocks`, in units of 16 bytes
  std::uint64_t blocks = 0;  ///< block (tile, k) is number tile · k_blocks + k
};

/// Tiles of `rows` rows, the empty ones that fill up the last four included.
constexpr std::int64_t bitmap_planes_tile_count(std::int64_t rows) {
  constexpr int together = bitmap_planes_rows * bitmap_planes_tiles;
  return (rows + together - 1) / together * bitmap_planes_tiles;
}
/// Bytes of a block with `kept` values.
constexpr std::uint32_t bitmap_planes_block_bytes(std::uint32_t kept) {
  const std::uint32_t bytes = bitmap_planes_values_at + (kept + 3) / 4 * 8;
  return (bytes + bitmap_planes_align - 1) / bitmap_planes_align * bitmap_planes_align;
}
/// Bit of lane mask word s / 4 for row half (0: row g, 1: row g + 8) and fragment position i.
constexpr int bitmap_planes_bit(int step, int half, int i) { return (half == 0 ? 16 : 0) + 4 * i + step % 4; }
/// Column in the block.
constexpr int bitmap_planes_column(int lane, int step, int i) {
  return 16 * step + 2 * (lane % 4) + (i < 2 ? i : i + 6);
}
/// Offset from `values` of the low byte of value `v`; its high byte follows 4 bytes later.
constexpr std::uint32_t bitmap_planes_value_at(std::uint32_t v) { return v / 4 * 8 + v % 4; }

std::string check_bitmap_planes(std::span<const std::byte> blob, std::size_t threads);
void decode_bitmap_planes(std::span<const std::byte> blob, const Visitor& visit);

}  // namespace cross::formats::gpu
