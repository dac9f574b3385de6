#include "compiler/cost/block_counts.h"

#include <algorithm>
#include <cstring>

namespace cross::compiler {
namespace {

/// Kept columns, kept elements and (over four rows) kept vectors of one K block.
struct Counts {
  std::int64_t nnz = 0, elements = 0, vectors = 0;
};

/// At most 256 columns: 128 elements of two.
constexpr int most_columns = kernels::k_block_elements * 2;

template <class T>
void count_four_rows(const std::byte* const (&rows)[kernels::interleaved_rows], int count, int columns,
                     bool pairs, Counts& counts) {
  std::uint8_t any[most_columns] = {};
  T values[most_columns];
  for (int r = 0; r < count; ++r) {
    std::memcpy(values, rows[r], static_cast<std::size_t>(columns) * sizeof(T));
    std::uint8_t kept[most_columns];
    int nnz = 0;
    for (int c = 0; c < columns; ++c) {
      kept[c] = values[c] != 0 ? 1 : 0;
      nnz += kept[c];
      any[c] = static_cast<std::uint8_t>(any[c] | kept[c]);
    }
    counts.nnz += nnz;
    if (!pairs) {
      counts.elements += nnz;
      continue;
    }
    for (int c = 0; c < columns; c += 2)
      counts.elements += kept[c] != 0 || (c + 1 < columns && kept[c + 1] != 0);
  }
  if (pairs) {
    for (int c = 0; c < columns; c += 2)
      counts.vectors += any[c] != 0 || (c + 1 < columns && any[c + 1] != 0);
  } else {
    for (int c = 0; c < columns; ++c) counts.vectors += any[c];
  }
}

}  // namespace

std::int64_t BlockCounts::rows_of(std::int64_t grid_row) const {
  return std::min<std::int64_t>(panel_rows, rows - grid_row * panel_rows);
}
std::int64_t BlockCounts::cols_of(std::int64_t grid_col) const {
  return std::min<std::int64_t>(block_cols, cols - grid_col * block_cols);
}

BlockCounts count_blocks(const MatrixView& weight, std::span<const std::int32_t> row_order, int panel_rows,
                         kernels::Arithmetic arithmetic, int threads) {
  BlockCounts counts;
  counts.rows = weight.rows;
  counts.cols = weight.cols;
  counts.panel_rows = panel_rows;
  counts.arithmetic = arithmetic;
  counts.block_cols = kernels::k_block_elements * kernels::columns_per_element(arithmetic);
  counts.grid_rows = (weight.rows + panel_rows - 1) / panel_rows;
  counts.grid_cols = (weight.cols + counts.block_cols - 1) / counts.block_cols;
  const auto blocks = static_cast<std::size_t>(counts.grid_rows * counts.grid_cols);
  counts.nnz.resize(blocks);
  counts.elements.resize(blocks);
  counts.vectors.resize(blocks);
  const bool pairs = arithmetic == kernels::Arithmetic::bf16_pair;
#pragma omp parallel for num_threads(threads) schedule(static)
  for (std::int64_t grid_row = 0; grid_row < counts.grid_rows; ++grid_row) {
    const std::int64_t end = grid_row * panel_rows + counts.rows_of(grid_row);
    for (std::int64_t row = grid_row * panel_rows; row < end; row += kernels::interleaved_rows) {
      const int here = static_cast<int>(std::min<std::int64_t>(kernels::interleaved_rows, end - row));
      for (std::int64_t grid_col = 0; grid_col < counts.grid_cols; ++grid_col) {
        const std::byte* rows[kernels::interleaved_rows] = {};
        for (int r = 0; r < here; ++r) {
          const std::int64_t packed = row + r;
          const std::int64_t source =
              row_order.empty() ? packed : row_order[static_cast<std::size_t>(packed)];
          rows[r] = weight.row(source) +
                    static_cast<std::size_t>(grid_col * counts.block_cols) * size_of(weight.dtype);
        }
        Counts block;
        const int columns = static_cast<int>(counts.cols_of(grid_col));
        if (weight.dtype == DType::fp32)
          count_four_rows<std::uint32_t>(rows, here, columns, pairs, block);
        else
          count_four_rows<std::uint16_t>(rows, here, columns, pairs, block);
        const std::size_t at = counts.at(grid_row, grid_col);
        counts.nnz[at] += block.nnz;
        counts.elements[at] += block.elements;
        counts.vectors[at] += block.vectors;
      }
    }
  }
  return counts;
}

}  // namespace cross::compiler
