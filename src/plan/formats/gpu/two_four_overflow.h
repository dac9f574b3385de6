// Format two_four_overflow: any matrix as 2:4 and a little more K. A tile of 128 rows gives up columns of a
// group of four where some row keeps more than two of it: the weights of such rows there are *lifted* into
// further blocks of the tile, whose columns of X a kernel gathers. Few columns are: 1.5 % of K at 95 %
// sparsity.
//
//   blocks   as in two_four.h: blocks of 32 rows and 128 columns, panels from top to bottom; at most two
//   weights
//            of a row and group are left
//   column   u32[chunks][64]: the columns of W that are gathered, 64 a chunk; an empty place repeats the one
//            before it or is 0. Tiles may share a chunk
//   begin    u32[tiles + 1]: the first further block of each tile of 128 rows (four panels)
//   chunk    u32[further][2]: the two chunks that a further block multiplies: its columns 0 … 63 and 64 …
//   127.
//            The second may be the first once more, without weights
//   further  their weights, four panels of a tile one behind the other: blocks of two_four
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "plan/formats/gpu/two_four.h"

namespace cross::formats::gpu {

inline constexpr int lifted_tile_rows = 128;
inline constexpr int lifted_tile_panels = lifted_tile_rows / two_four_rows;
inline constexpr int lifted_chunk_cols = two_four_cols / 2;
/// Bytes of a further block: that of every panel of a tile.
inline constexpr int lifted_block_bytes = lifted_tile_panels * two_four_block_bytes;

struct TwoFourOverflowHeader : BlobHeader {
  std::int32_t panels = 0;    ///< of 32 rows
  std::int32_t k_blocks = 0;  ///< of 128 columns
  std::int32_t tiles = 0;     ///< of 128 rows
  std::int32_t chunks = 0;    ///< gathered
  std::int32_t further = 0;   ///< blocks, of all tiles
  // Offsets from the start of the blob, multiples of 128.
  std::uint64_t blocks = 0, column = 0, begin = 0, chunk = 0, further_blocks = 0;

  /// What is multiplied and gathered besides the matrix's own blocks, as a share of those.
  double overhead() const {
    return (further + chunks * 0.5) / (static_cast<double>(tiles) * static_cast<double>(k_blocks));
  }
};

std::string check_two_four_overflow(std::span<const std::byte> blob, std::int64_t rows, std::int64_t cols);
void decode_two_four_overflow(std::span<const std::byte> blob, const Visitor& visit);

}  // namespace cross::formats::gpu
