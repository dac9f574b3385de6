// What each block of the partition grid holds: the numbers that prices depend on.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "cross/matrix.h"
#include "kernels/kernel.h"

namespace cross::compiler {

/// Counts per block of `panel_rows` rows × one K block (128 elements of the arithmetic), row-major.
struct BlockCounts {
  std::int64_t rows = 0, cols = 0;  ///< of the matrix
  int panel_rows = 0;
  int block_cols = 0;  ///< columns of a K block
  kernels::Arithmetic arithmetic = kernels::Arithmetic::fp32;
  std::int64_t grid_rows = 0, grid_cols = 0;
  std::vector<std::int64_t> nnz;       ///< kept columns
  std::vector<std::int64_t> elements;  ///< kept elements (pairs of columns in bf16_pair): entries of index8
  std::vector<std::int64_t>
      vectors;  ///< elements of which any of four neighbouring rows keeps one: vectors of block

  std::int64_t rows_of(std::int64_t grid_row) const;
  std::int64_t cols_of(std::int64_t grid_col) const;
  std::size_t at(std::int64_t grid_row, std::int64_t grid_col) const {
    return static_cast<std::size_t>(grid_row * grid_cols + grid_col);
  }
};

/// Rows are taken in `row_order` (as stored if empty). Reads the weights once, on `threads` threads.
BlockCounts count_blocks(const MatrixView& weight, std::span<const std::int32_t> row_order, int panel_rows,
                         kernels::Arithmetic arithmetic, int threads);

}  // namespace cross::compiler
