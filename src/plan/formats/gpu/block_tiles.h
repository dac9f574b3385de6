// Format block_tiles: matrices whose kept weights stand in few blocks of 64 x 64. Blocks that keep nothing
// are left out; the others are dense, as tensor cores read A operands from shared memory (128-byte swizzle).
//
// W is cut into panels of 64 rows and these into blocks of 64 columns:
//
//   block   u16 value[64 rows][8 pieces][8 columns]      8192 bytes
//
//     piece i of row r    columns 8 (i xor r mod 8) + {0 ... 7}
//
// Blocks stand panel by panel, in a panel by column; `column` says where each stands. Panels are worked on in
// pairs that keep the same columns where possible, a kernel then loads a column of x once for both: `order`
// has the panels of a pair side by side, pairs with much to load first, so that the last ones to be dealt are
// short. A *step* of a pair is a block column that either of its panels keeps.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "plan/formats/gpu/packed.h"

namespace cross::formats::gpu {

inline constexpr int block_tiles_side = 64;
inline constexpr int block_tiles_products = 4;  ///< of 16 columns, in a block
inline constexpr int block_tiles_block_bytes = 2 * block_tiles_side * block_tiles_side;

struct BlockTilesHeader : BlobHeader {
  std::int32_t panels = 0;    ///< of 64 rows
  std::int32_t k_blocks = 0;  ///< of 64 columns
  std::int32_t blocks = 0;    ///< stored
  std::int32_t longest = 0;   ///< blocks of the longest panel
  std::int32_t steps = 0;     ///< of all pairs
  // Offsets from the start of the blob, multiples of 128.
  std::uint64_t order = 0;   ///< u32[panels]: a permutation; pair i is panels order[2 i] and order[2 i + 1]
  std::uint64_t begin = 0;   ///< u32[panels + 1]: the first block of each panel
  std::uint64_t column = 0;  ///< u32[blocks]: block columns, ascending in a panel
  std::uint64_t first_step = 0;  ///< u32[pairs() + 1]: the first step of each pair
  std::uint64_t step = 0;        ///< u32[steps]: 4 · block column + which of the two keep it, bits 0 and 1
  std::uint64_t values = 0;      ///< the blocks

  std::int32_t pairs() const { return panels / 2 + panels % 2; }
};

/// Index of a weight among the values of its block.
constexpr int block_tiles_value_index(int row, int col) {
  return row * block_tiles_side + ((col / 8 ^ row % 8) * 8 + col % 8);
}

std::string check_block_tiles(std::span<const std::byte> blob, std::int64_t rows, std::int64_t cols);
void decode_block_tiles(std::span<const std::byte> blob, const Visitor& visit);

}  // namespace cross::formats::gpu
