#include "compiler/pack/pack.h"

#include <algorithm>
#include <cstring>

#include "cross/error.h"

namespace cross::compiler {
namespace {

using formats::SegmentShape;
using kernels::Arithmetic;
using kernels::interleaved_rows;
using kernels::k_block_elements;

void append(std::vector<std::byte>& out, const void* data, std::size_t bytes) {
  const auto* at = static_cast<const std::byte*>(data);
  out.insert(out.end(), at, at + bytes);
  out.resize(formats::round_up(out.size(), 4));
}

/// Row `row` as elements of type T: columns, or pairs of bf16 columns.
template <class T>
const T* elements(const PanelSource& source, int row, std::int64_t k_begin, Arithmetic arithmetic) {
  const std::int64_t at = k_begin / kernels::columns_per_element(arithmetic);
  if (arithmetic == Arithmetic::fp32) return reinterpret_cast<const T*>(source.fp32_row(row)) + at;
  return reinterpret_cast<const T*>(source.bf16_row(row)) + at;
}

template <class T>
void pack_index8(const PanelSource& source, std::int64_t k_begin, const SegmentShape& shape,
                 std::vector<std::byte>& out) {
  const std::int64_t total = formats::elements_of(shape.columns, shape.arithmetic);
  const auto rows = static_cast<std::size_t>(source.rows());
  if (rows > formats::max_panel_rows) throw InternalError("pack: index8 names rows in 8 bits");
  std::vector<std::uint8_t> kept(rows);
  std::vector<std::uint8_t> order(rows);
  std::vector<std::uint8_t> count(rows);
  std::vector<std::uint8_t> offset;
  std::vector<T> value;
  for (std::int64_t first = 0; first < total; first += k_block_elements) {
    const int extent = static_cast<int>(std::min<std::int64_t>(k_block_elements, total - first));
    const auto row_at = [&](std::size_t row) {
      return elements<T>(source, static_cast<int>(row), k_begin, shape.arithmetic) + first;
    };
    for (std::size_t row = 0; row < rows; ++row) {
      const T* at = row_at(row);
      kept[row] = static_cast<std::uint8_t>(extent - std::count(at, at + extent, T{0}));
      order[row] = static_cast<std::uint8_t>(row);
    }
    std::stable_sort(order.begin(), order.end(),
                     [&](std::uint8_t a, std::uint8_t b) { return kept[a] > kept[b]; });
    offset.clear();
    value.clear();
    for (std::size_t i = 0; i < rows; ++i) {
      count[i] = kept[order[i]];
      const T* at = row_at(order[i]);
      for (int e = 0; e < extent; ++e) {
        if (at[e] == 0) continue;
        offset.push_back(static_cast<std::uint8_t>(e));
        value.push_back(at[e]);
      }
    }
    const auto entries = static_cast<std::uint32_t>(offset.size());
    append(out, &entries, 4);
    append(out, order.data(), rows);
    append(out, count.data(), rows);
    append(out, offset.data(), offset.size());
    append(out, value.data(), value.size() * sizeof(T));
  }
}

/// block and dense_panel: four neighbouring rows per element; rows past the panel's end are zeros.
template <class T>
void pack_interleaved(const PanelSource& source, std::int64_t k_begin, const SegmentShape& shape,
                      std::vector<std::byte>& out) {
  const std::int64_t total = formats::elements_of(shape.columns, shape.arithmetic);
  const bool all = shape.format == Format::dense_panel;
  std::vector<std::uint8_t> count;
  std::vector<std::uint8_t> offset;
  std::vector<T> value;
  for (std::int64_t first = 0; first < total; first += k_block_elements) {
    const int extent = static_cast<int>(std::min<std::int64_t>(k_block_elements, total - first));
    count.clear();
    offset.clear();
    value.clear();
    for (int row = 0; row < source.rows(); row += interleaved_rows) {
      const T* at[interleaved_rows] = {};
      for (int r = 0; r < interleaved_rows && row + r < source.rows(); ++r)
        at[r] = elements<T>(source, row + r, k_begin, shape.arithmetic) + first;
      const std::size_t before = offset.size();
      for (int e = 0; e < extent; ++e) {
        T vector[interleaved_rows] = {};
        bool kept = all;
        for (int r = 0; r < interleaved_rows; ++r) {
          if (at[r] == nullptr) continue;
          vector[r] = at[r][e];
          kept = kept || vector[r] != 0;
        }
        if (!kept) continue;
        offset.push_back(static_cast<std::uint8_t>(e));
        value.insert(value.end(), vector, vector + interleaved_rows);
      }
      count.push_back(static_cast<std::uint8_t>(offset.size() - before));
    }
    if (!all) {
      const auto vectors = static_cast<std::uint32_t>(offset.size());
      append(out, &vectors, 4);
      append(out, count.data(), count.size());
      append(out, offset.data(), offset.size());
    }
    append(out, value.data(), value.size() * sizeof(T));
  }
}

/// Marks further positions until every group of n_m has its `keep` values (or is full).
void fill_groups(std::vector<std::uint64_t>& mask, const SegmentShape& shape) {
  for (std::int64_t begin = 0; begin < shape.columns; begin += shape.group) {
    const std::int64_t end = std::min<std::int64_t>(begin + shape.group, shape.columns);
    const std::int64_t wanted = std::min<std::int64_t>(shape.keep, end - begin);
    const auto marked = [&](std::int64_t c) {
      return ((mask[static_cast<std::size_t>(c / 64)] >> (c % 64)) & 1u) != 0;
    };
    std::int64_t kept = 0;
    for (std::int64_t c = begin; c < end; ++c) kept += marked(c) ? 1 : 0;
    if (kept > wanted)
      throw InternalError("pack: a region given to n_m has a group with too many kept values");
    for (std::int64_t c = begin; c < end && kept < wanted; ++c) {
      if (marked(c)) continue;
      mask[static_cast<std::size_t>(c / 64)] |= std::uint64_t{1} << (c % 64);
      ++kept;
    }
  }
}

template <class T>
void pack_whole_rows(const PanelSource& source, std::int64_t k_begin, const SegmentShape& shape,
                     std::vector<std::byte>& out) {
  std::vector<std::uint64_t> mask(static_cast<std::size_t>(formats::words_of(shape.columns)));
  std::vector<T> value;
  const Arithmetic single = sizeof(T) == 4 ? Arithmetic::fp32 : Arithmetic::bf16_widened;
  for (int row = 0; row < source.rows(); ++row) {
    const T* at = elements<T>(source, row, k_begin, single);
    std::fill(mask.begin(), mask.end(), 0);
    for (std::int64_t c = 0; c < shape.columns; ++c)
      mask[static_cast<std::size_t>(c / 64)] |= std::uint64_t{at[c] != 0} << (c % 64);
    if (shape.format == Format::n_m) fill_groups(mask, shape);
    value.clear();
    for (std::int64_t c = 0; c < shape.columns; ++c)
      if (((mask[static_cast<std::size_t>(c / 64)] >> (c % 64)) & 1u) != 0) value.push_back(at[c]);
    append(out, mask.data(), mask.size() * 8);
    append(out, value.data(), value.size() * sizeof(T));
  }
}

}  // namespace

PanelSource::PanelSource(const MatrixView& weight, DType plan_dtype, std::span<const std::int32_t> rows)
    : rows_(static_cast<int>(rows.size())),
      columns_(weight.cols),
      stride_(static_cast<std::int64_t>(formats::round_up(static_cast<std::size_t>(weight.cols), 64))),
      dtype_(plan_dtype) {
  const auto size = static_cast<std::size_t>(rows_ * stride_);
  if (plan_dtype == DType::fp32)
    fp32_.resize(size);
  else
    bf16_.resize(size);
  for (int r = 0; r < rows_; ++r) {
    const std::int64_t source_row = rows[static_cast<std::size_t>(r)];
    if (plan_dtype == DType::fp32) {
      std::uint32_t* to = fp32_.data() + r * stride_;
      if (weight.dtype == DType::fp32) {
        std::memcpy(to, weight.row(source_row), static_cast<std::size_t>(columns_) * 4);
      } else {
        for (std::int64_t c = 0; c < columns_; ++c)
          to[c] = std::bit_cast<std::uint32_t>(weight.value(source_row, c));
      }
    } else {
      std::uint16_t* to = bf16_.data() + r * stride_;
      if (weight.dtype == DType::bf16) {
        std::memcpy(to, weight.row(source_row), static_cast<std::size_t>(columns_) * 2);
      } else {
        for (std::int64_t c = 0; c < columns_; ++c) to[c] = bf16_from_float(weight.value(source_row, c));
      }
    }
  }
}

std::int64_t PanelSource::kept(std::int64_t begin, std::int64_t end) const {
  std::int64_t count = 0;
  for (int r = 0; r < rows_; ++r) {
    if (dtype_ == DType::fp32)
      count += (end - begin) - std::count(fp32_row(r) + begin, fp32_row(r) + end, 0u);
    else
      count += (end - begin) - std::count(bf16_row(r) + begin, bf16_row(r) + end, std::uint16_t{0});
  }
  return count;
}

void pack_segment(const PanelSource& source, std::int64_t k_begin, const SegmentShape& shape,
                  std::vector<std::byte>& out) {
  const bool four_bytes = formats::value_bytes(shape.format, shape.arithmetic) == 4;
  switch (shape.format) {
    case Format::empty:
      return;
    case Format::dense:
      throw InternalError("pack: a dense matrix is not packed as a segment");
    case Format::delta4:
    case Format::delta8:
    case Format::bitmap_planes:
    case Format::two_four:
    case Format::cross_panels:
    case Format::block_tiles:
    case Format::split_blocks:
    case Format::two_four_overflow:
    case Format::column_vectors:
    case Format::row_lists:
      throw InternalError("pack: a format of the CUDA device family is not packed as a segment");
    case Format::index8:
      return four_bytes ? pack_index8<std::uint32_t>(source, k_begin, shape, out)
                        : pack_index8<std::uint16_t>(source, k_begin, shape, out);
    case Format::block:
    case Format::dense_panel:
      return four_bytes ? pack_interleaved<std::uint32_t>(source, k_begin, shape, out)
                        : pack_interleaved<std::uint16_t>(source, k_begin, shape, out);
    case Format::bitmap:
    case Format::n_m:
      return four_bytes ? pack_whole_rows<std::uint32_t>(source, k_begin, shape, out)
                        : pack_whole_rows<std::uint16_t>(source, k_begin, shape, out);
  }
}

}  // namespace cross::compiler
