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
  // CUDA device family, 16-bit values; layouts in src/plan/formats/gpu/
  gather8,    ///< per nonzero: value and signed 8-bit column step, in the order that tensor cores consume them
  delta4,     ///< per nonzero: value and 4-bit column step, for one token
  two_four,   ///< exact 2:4 weights, values and metadata in sparse tensor-core order
  bitmap_mma, ///< mask bits and kept values in dense tensor-core order
};

inline constexpr Format all_formats[] = {Format::dense, Format::dense_panel, Format::bitmap, Format::index8,
                                         Format::n_m,   Format::block,       Format::empty};

/// Formats of the CUDA device family.
inline constexpr Format gpu_formats[] = {Format::gather8, Format::delta4, Format::two_four, Format::bitmap_mma};

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
    case Format::gather8:
      return "gather8";
    case Format::delta4:
      return "delta4";
    case Format::two_four:
      return "two_four";
    case Format::bitmap_mma:
      return "bitmap_mma";
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
