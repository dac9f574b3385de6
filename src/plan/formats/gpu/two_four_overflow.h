// Format two_four_overflow: any matrix as 2:4 and a little more K. A row tile of 128 rows gives up columns of
// a group of four where some row keeps more than two of it: the weights of such rows there are *lifted* into
// further tiles, whose columns of X a kernel gathers. Few columns are: 1.5 % of K at 95 % sparsity.
//
//   tiles    as in two_four.h: tiles of 64 rows and 64 columns, panels from top to bottom; at most two
//   weights
//            of a row and group are left
//   column   u32[chunks][64]: the columns of W that are gathered, 64 a chunk; an empty place repeats the one
//            before it or is 0. Row tiles may share a chunk
//   begin    u32[row tiles + 1]: the first further pair of tiles of each row tile
//   chunk    u32[further]: the chunk that a further pair multiplies
//   further  their weights: two tiles of two_four, one for each panel of the row tile
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "plan/formats/gpu/two_four.h"

namespace cross::formats::gpu {

inline constexpr int lifted_tile_rows = 128;
inline constexpr int lifted_tile_panels = lifted_tile_rows / two_four_rows;
inline constexpr int lifted_chunk_cols = two_four_cols;
/// Bytes of a further pair: a tile of every panel of a row tile.
inline constexpr int lifted_pair_bytes = lifted_tile_panels * two_four_tile_bytes;

struct TwoFourOverflowHeader : BlobHeader {
  std::int32_t panels = 0;     ///< of 64 rows
  std::int32_t k_tiles = 0;    ///< of 64 columns, even
  std::int32_t row_tiles = 0;  ///< of 128 rows
  std::int32_t chunks = 0;     ///< gathered
  std::int32_t further = 0;    ///< pairs of tiles, of all row tiles
  // Offsets from the start of the blob, multiples of 128.
  std::uint64_t tiles = 0, column = 0, begin = 0, chunk = 0, further_tiles = 0;

  /// What is multiplied and gathered besides the matrix's own tiles, as a share of those.
  double overhead() const {
    return (further + chunks) / (static_cast<double>(row_tiles) * static_cast<double>(k_tiles));
  }
};

constexpr std::int64_t two_four_row_tiles(std::int64_t rows) {
  return (rows + lifted_tile_rows - 1) / lifted_tile_rows;
}

std::string check_two_four_overflow(std::span<const std::byte> blob, std::int64_t rows, std::int64_t cols);
void decode_two_four_overflow(std::span<const std::byte> blob, const Visitor& visit);

}  // namespace cross::formats::gpu
