// Format block_tiles: matrices whose kept weights stand in few blocks of 64 x 64. Blocks that keep nothing
// are left out; the others are dense, in the order in which tensor cores take A operands from registers.
//
// W is cut into panels of 64 rows and these into blocks of 64 columns. A block is 4 warps (16 rows each) by 4
// steps (16 columns each) of fragments of mma m16n8k16, 16 bytes a lane:
//
//   block   u16 value[4 warps][4 steps][32 lanes][4 registers][2]      8192 bytes
//
//     lane 4 g + t, register r    row 16 warp + g + 8 (r mod 2), columns 16 step + 8 (r / 2) + 2 t + {0, 1}
//
// Blocks stand panel by panel, in a panel by column; `column` says where each stands. Panels are worked on in
// the order of their lengths, so that the last ones to be dealt are short.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "plan/formats/gpu/packed.h"

namespace cross::formats::gpu {

inline constexpr int block_tiles_side = 64;
inline constexpr int block_tiles_steps = 4;             ///< of 16 columns, in a block
inline constexpr int block_tiles_fragment_bytes = 512;  ///< of a warp and step
inline constexpr int block_tiles_block_bytes = 2 * block_tiles_side * block_tiles_side;

struct BlockTilesHeader : BlobHeader {
  std::int32_t panels = 0;    ///< of 64 rows
  std::int32_t k_blocks = 0;  ///< of 64 columns
  std::int32_t blocks = 0;    ///< stored
  std::int32_t longest = 0;   ///< blocks of the longest panel
  // Offsets from the start of the blob, multiples of 128.
  std::uint64_t order = 0;   ///< u32[panels]: panels by descending number of blocks
  std::uint64_t begin = 0;   ///< u32[panels + 1]: the first block of each panel
  std::uint64_t column = 0;  ///< u32[blocks]: block columns, ascending in a panel
  std::uint64_t values = 0;  ///< the blocks
};

/// Index of a weight among the values of its block.
constexpr int block_tiles_value_index(int row, int col) {
  const int lane = 4 * (row % 8) + col % 8 / 2, reg = row / 8 % 2 + 2 * (col / 8 % 2);
  return (((row / 16 * block_tiles_steps + col / 16) * 32 + lane) * 4 + reg) * 2 + col % 2;
}

std::string check_block_tiles(std::span<const std::byte> blob, std::int64_t rows, std::int64_t cols);
void decode_block_tiles(std::span<const std::byte> blob, const Visitor& visit);

}  // namespace cross::formats::gpu
