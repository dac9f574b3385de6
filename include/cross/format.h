// Storage formats of weight regions. Byte-by-byte layouts: src/plan/formats/*.h and docs/formats.md.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace cross {

enum class Format : std::uint8_t {
  dense,        ///< whole matrix, row-major, executed by the dense library
  dense_panel,  ///< region without zeros worth skipping, four rows interleaved, executed by our own kernel
  bitmap,       ///< one mask bit per position, then the kept values
  index8,       ///< per row and 128-wide K block: 8-bit column offsets and values
  n_m,          ///< bitmap whose every group of `group` positions keeps exactly `keep` values (fixed stride)
  block,        ///< column vectors of four rows: 8-bit column offset and four values
  empty,        ///< no kept value at all: no bytes, no work
  // CUDA device family, 16-bit values unless noted; layouts in src/plan/formats/gpu/
  delta4,         ///< per nonzero: value and 4-bit column step
  delta8,         ///< per nonzero: value and signed 8-bit column step
  bitmap_planes,  ///< one mask bit per position in fragment order, then the kept values in byte planes
  two_four,       ///< at most two of every four columns: values and 2-bit positions in tensor-core fragments
  cross_panels,   ///< fp32: per row panel a list for tensor cores and one for CUDA cores
  block_tiles,    ///< blocks of 64x64 that keep anything, dense inside, as tensor cores read them
  split_blocks,   ///< fp32: kept weights as two fp16 parts each, by block of 128x64, put into shared memory
                  ///< one by one
  two_four_overflow,  ///< two_four, and what does not fit it as further K whose columns of x are gathered
  column_vectors,     ///< columns of 16 rows that keep anything, dense inside, 16 at a time; x's columns are
                      ///< gathered
  row_lists,          ///< fp32 for CUDA cores: per row its kept weights, and where their columns of x lie in
                      ///< shared memory
};

inline constexpr Format all_formats[] = {Format::dense, Format::dense_panel, Format::bitmap, Format::index8,
                                         Format::n_m,   Format::block,       Format::empty};

/// Formats of the CUDA device family.
inline constexpr Format gpu_formats[] = {
    Format::delta4,         Format::delta8,      Format::bitmap_planes, Format::two_four,
    Format::cross_panels,   Format::block_tiles, Format::split_blocks,  Format::two_four_overflow,
    Format::column_vectors, Format::row_lists};

constexpr bool is_gpu_format(Format format) {
  for (const Format one : gpu_formats)
    if (one == format) return true;
  return false;
}

constexpr std::string_view name_of(Format format) {
  switch (format) {
    case Format::dense:
      return "dense";
    case Format::dense_panel:
      return "dense_panel";
    case Format::bitmap:
      return "bitmap";
    case Format::index8:
      return "index8";
    case Format::n_m:
      return "n_m";
    case Format::block:
      return "block";
    case Format::empty:
      return "empty";
    case Format::delta4:
      return "delta4";
    case Format::delta8:
      return "delta8";
    case Format::bitmap_planes:
      return "bitmap_planes";
    case Format::two_four:
      return "two_four";
    case Format::cross_panels:
      return "cross_panels";
    case Format::split_blocks:
      return "split_blocks";
    case Format::block_tiles:
      return "block_tiles";
    case Format::two_four_overflow:
      return "two_four_overflow";
    case Format::column_vectors:
      return "column_vectors";
    case Format::row_lists:
      return "row_lists";
  }
  return "?";
}

constexpr std::optional<Format> format_from_name(std::string_view name) {
  for (const Format format : all_formats)
    if (name_of(format) == name) return format;
  for (const Format format : gpu_formats)
    if (name_of(format) == name) return format;
  return std::nullopt;
}

}  // namespace cross
