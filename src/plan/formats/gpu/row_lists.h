// Format row_lists: fp32 weights that keep little, one by one, for CUDA cores. Rows are taken in *granules*
// of eight neighbours, whose outputs fill sectors of memory; four granules, from anywhere, are a *panel* of
// 32 rows, chosen so that panels keep equally much. K is cut into blocks. In a block the rows of a panel are
// dealt to eight *quads* of four rows of nearly one length, which a warp works on at the same time, eight
// lanes a row; a quad has one list.
//
//   granules  u32[panels][4]: rows 8 g … 8 g + 7 of W are rows 8 i … 8 i + 7 of the panel, i the index
//   order     u8[blocks][panels][32]: the row of its panel that is row i mod 4 of quad i / 4
//   begin     u32[blocks][panels][8 quads], then the count of all steps: the first step of each list
//   entries   steps of 64 bytes: for each row of the quad two entries {u32 bits of the weight, u32 place}
//
// A place says where in shared memory the kernel finds the column: activations of a block lie there as 128
// bytes a column, 32 tokens, and 16-byte units of tokens are exchanged so that they are stored without bank
// conflicts:
//
//   column c of a block     128 c + 16 (c / 4 mod 8)
//
// Tokens 4 l … 4 l + 3 of a column lie at place ^ 16 l. Columns of a row ascend. What shorter rows leave is
// filled with {-0.0, row_list_filling(…)}: zeros, which add nothing. Every list has a step, be it filling.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "plan/formats/gpu/packed.h"

namespace cross::formats::gpu {

inline constexpr int row_list_rows = 32;    ///< of a panel
inline constexpr int row_list_granule = 8;  ///< rows that stay together
inline constexpr int row_list_granules = row_list_rows / row_list_granule;
inline constexpr int row_list_streams = 4;   ///< rows of a quad
inline constexpr int row_list_quads = 8;     ///< of a panel
inline constexpr int row_list_step = 2;      ///< entries of a row in a step
inline constexpr int row_list_column = 128;  ///< bytes of a column in shared memory
/// Columns of a block at most: shared memory holds them beside lists and sums.
inline constexpr int row_list_most_cols = 1024;
inline constexpr std::uint32_t row_list_filling_bits = 0x80000000u;

struct RowListEntry {
  std::uint32_t bits = 0;  ///< of the weight
  std::uint32_t place = 0;
};

struct RowListsHeader : BlobHeader {
  std::int32_t panels = 0;      ///< of 32 rows
  std::int32_t blocks = 0;      ///< of K
  std::int32_t block_cols = 0;  ///< a multiple of 32
  std::uint32_t steps = 0;      ///< of all lists
  // Offsets from the start of the blob, multiples of 128.
  std::uint64_t granules = 0, order = 0, begin = 0, entries = 0;

  /// Entries, filling included, as a share of all positions: what the time depends on.
  double density() const {
    return static_cast<double>(steps) * (row_list_streams * row_list_step) /
           (static_cast<double>(rows) * static_cast<double>(cols));
  }
};

constexpr std::int64_t row_list_panels(std::int64_t rows) {
  return (rows + row_list_rows - 1) / row_list_rows;
}
constexpr std::uint32_t row_list_place(int col) {
  return static_cast<std::uint32_t>(row_list_column * col + 16 * (col / 4 % 8));
}
/// Where zeros stand, behind the last column.
constexpr std::uint32_t row_list_filling(int block_cols) {
  return static_cast<std::uint32_t>(row_list_column * block_cols);
}

std::string check_row_lists(std::span<const std::byte> blob, std::int64_t rows, std::int64_t cols);
void decode_row_lists(std::span<const std::byte> blob, const Visitor& visit);

}  // namespace cross::formats::gpu
