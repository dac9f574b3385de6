// pack: rows of a weight matrix → the bytes of a segment. Layouts: plan/formats/layout.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "cross/matrix.h"
#include "plan/formats/layout.h"

namespace cross::compiler {

/// Rows of W converted to the plan's dtype, row after row, each padded with zeros to a multiple of 64
/// columns: what every packer reads. One panel at a time, so that packing needs little more memory than its
/// output.
class PanelSource {
 public:
  /// @param rows  source row of each panel row (a slice of the row order)
  PanelSource(const MatrixView& weight, DType plan_dtype, std::span<const std::int32_t> rows);

  int rows() const { return rows_; }
  std::int64_t columns() const { return columns_; }
  std::int64_t stride() const { return stride_; }  ///< columns per row, padding included
  DType dtype() const { return dtype_; }
  const std::uint32_t* fp32_row(int row) const { return fp32_.data() + row * stride_; }
  const std::uint16_t* bf16_row(int row) const { return bf16_.data() + row * stride_; }
  /// Kept values in columns [begin, end) of all rows.
  std::int64_t kept(std::int64_t begin, std::int64_t end) const;

 private:
  int rows_;
  std::int64_t columns_;
  std::int64_t stride_;
  DType dtype_;
  std::vector<std::uint32_t> fp32_;
  std::vector<std::uint16_t> bf16_;
};

/// Appends the segment for columns [k_begin, k_begin + shape.columns) of all rows of `source` to `out`,
/// overread excluded. k_begin is a multiple of 128 elements. Format::empty appends nothing; Format::dense is
/// not a segment. InternalError if the region does not satisfy n_m's keep:group.
void pack_segment(const PanelSource& source, std::int64_t k_begin, const formats::SegmentShape& shape,
                  std::vector<std::byte>& out);

}  // namespace cross::compiler
