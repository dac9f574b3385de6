// Format column_vectors: for matrices that keep very little. A *panel* of 16 rows keeps the columns in which
// any of its rows keeps a weight, and of those all 16 rows, zeros included: short dense column vectors. K is
// cut into blocks; the columns of a panel and block lie in *steps* of 16, what one product multiplies.
//
//   begin    u32[panels · blocks + 1]: the first step of each panel and block, panels from top to bottom
//   place    u16[steps + column_vector_ahead][16]: the columns of a step, 8 · c + c mod 8 for column c of the
//            block: the 16-byte unit at which its activations begin in shared memory (transpose_columns.h).
//            The packer spreads columns of equal c mod 8 over the groups of eight, which are read together
//   weights  u16[steps + column_vector_ahead][256]: weight of row r at slot s at column_vector_at(r, s): B
//            operands of two products m16n8k16, eight values a lane
//
// A slot that is left over names some column of its block and holds zeros. Kernels fetch ahead: behind the
// last step there are column_vector_ahead of any contents.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "plan/formats/gpu/packed.h"

namespace cross::formats::gpu {

inline constexpr int column_vector_rows = 16;   ///< of a panel
inline constexpr int column_vector_slots = 16;  ///< columns of a step
inline constexpr int column_vector_values = column_vector_rows * column_vector_slots;
inline constexpr int column_vector_ahead = 8;  ///< steps behind the last
/// Columns of a block at most, a multiple of 8: two blocks of 64 tokens fit into shared memory.
inline constexpr int column_vector_most_cols = 768;

/// Where the weight of `row` at `slot` stands in a step. Lane 4·g + t holds rows 4·(g / 2) + g mod 2, and two
/// further, at slots 2t, 2t + 1, 2t + 8, 2t + 9: so its sums are of four rows in a row.
constexpr int column_vector_at(int row, int slot) {
  const int lane = (row / 4 * 2 + row % 2) * 4 + slot % 8 / 2;
  return lane * 8 + row / 2 % 2 * 4 + slot / 8 * 2 + slot % 2;
}

struct ColumnVectorsHeader : BlobHeader {
  std::int32_t panels = 0;      ///< of 16 rows
  std::int32_t blocks = 0;      ///< of K
  std::int32_t block_cols = 0;  ///< a multiple of 8
  std::uint32_t steps = 0;      ///< of all panels
  std::uint64_t columns = 0;    ///< of all panels that keep something
  // Offsets from the start of the blob, multiples of 128.
  std::uint64_t begin = 0, place = 0, weights = 0;

  /// The share of all columns of panels that keep something: what the time depends on.
  double density() const {
    return static_cast<double>(columns) / (static_cast<double>(panels) * static_cast<double>(cols));
  }
};

constexpr std::int64_t column_vector_panels(std::int64_t rows) {
  return (rows + column_vector_rows - 1) / column_vector_rows;
}

std::string check_column_vectors(std::span<const std::byte> blob, std::int64_t rows, std::int64_t cols);
void decode_column_vectors(std::span<const std::byte> blob, const Visitor& visit);

}  // namespace cross::formats::gpu
