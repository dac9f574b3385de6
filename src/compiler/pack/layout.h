// What to pack, without bytes: the cut of a matrix into panels and segments. Partition makes one, pack fills
// it.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "cross/matrix.h"
#include "cross/plan.h"
#include "kernels/kernel.h"

namespace cross::compiler {

/// Panels without data: offsets and bytes of their segments are not set yet.
struct PackingLayout {
  kernels::Arithmetic arithmetic = kernels::Arithmetic::fp32;
  std::vector<Panel> panels;
};

/// One format for the whole matrix, `panel_rows` rows a panel.
PackingLayout uniform_layout(std::int64_t rows, std::int64_t cols, int panel_rows,
                             kernels::Arithmetic arithmetic, Format format, int keep = 0, int group = 0);

/// Packs `weight` (rows taken in `row_order`, or as stored if that is empty) as `layout` says, several panels
/// at a time on `threads` threads. Reads each row once; needs memory for the output and `threads` panels.
/// @param kept  receives the number of kept weights in the plan's dtype
Packing pack_layout(const MatrixView& weight, DType plan_dtype, std::span<const std::int32_t> row_order,
                    const PackingLayout& layout, int threads, std::int64_t& kept);

/// The whole matrix row-major in the plan's dtype, for the dense library.
Packing pack_dense(const MatrixView& weight, DType plan_dtype, kernels::Arithmetic arithmetic,
                   std::int64_t& kept);

/// Rows of a panel: up to 256, so that a slice of X is used often once it is in L1 (measured on Zen 3: 256
/// rows are 6 % faster than 128 at 95 % sparsity, the same at 50 %), but at least three panels per worker to
/// balance with.
int panel_rows_for(std::int64_t rows, int threads);

}  // namespace cross::compiler
