// Format two_four_overflow: any matrix as 2:4 and a little more K. A *row tile* of 128 rows, two panels of
// 64, gives up columns of a group of four where some row keeps more than two of it: the weights of such rows
// there are *lifted* into further tiles, whose columns of X kernels gather. Few columns are: 1.5 % of K at 95
// % sparsity.
//
//   tiles    as in two_four.h: tiles of 64 rows and 64 columns, panels from top to bottom; at most two
//            weights of a row and group are left
//   begin    u32[row pairs + 1]: the first further stage of every 256 rows, two row tiles. Both have as many:
//            kernels work on them in step
//   column   u32[2 · further][64]: the columns of W that a row tile's further stage multiplies, where there
//            are fewer the column before once more, or 0. A row tile's stages follow each other, then come
//            the other row tile's, also where the matrix has none
//   lifted   u32[cols / 32, rounded up]: a bit for every column of W that `column` names
//   further  tiles as in two_four.h, the upper and the lower panel's of each of these stages
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "plan/formats/gpu/two_four.h"

namespace cross::formats::gpu {

inline constexpr int lifted_tile_panels = 2;
inline constexpr int lifted_tile_rows = lifted_tile_panels * two_four_rows;
inline constexpr int lifted_pair_rows = 2 * lifted_tile_rows;
inline constexpr int further_stage_bytes = lifted_tile_panels * two_four_tile_bytes;

struct TwoFourOverflowHeader : BlobHeader {
  std::int32_t panels = 0;     ///< of 64 rows
  std::int32_t k_tiles = 0;    ///< of 64 columns, even
  std::int32_t row_pairs = 0;  ///< of 256 rows
  std::int32_t further = 0;    ///< stages of all row pairs, of two row tiles each
  // Offsets from the start of the blob, multiples of 128.
  std::uint64_t tiles = 0, begin = 0, column = 0, lifted = 0, further_tiles = 0;

  /// Further stages, of which each gathers 64 columns, as a share of a matrix's own.
  double overhead() const {
    return further / (static_cast<double>(row_pairs) * static_cast<double>(k_tiles));
  }
};

constexpr std::int64_t two_four_row_pairs(std::int64_t rows) {
  return (rows + lifted_pair_rows - 1) / lifted_pair_rows;
}
/// Words of a bit a column.
constexpr std::int64_t lifted_words(std::int64_t cols) { return (cols + 31) / 32; }
/// The first further stage of a row tile, of all row tiles'. @param begin, end  stages of its row pair
constexpr std::int64_t first_further_stage(std::int64_t row_tile, std::int64_t begin, std::int64_t end) {
  return begin + (row_tile % 2 == 0 ? begin : end);
}

std::string check_two_four_overflow(std::span<const std::byte> blob, std::int64_t rows, std::int64_t cols);
void decode_two_four_overflow(std::span<const std::byte> blob, const Visitor& visit);

}  // namespace cross::formats::gpu
