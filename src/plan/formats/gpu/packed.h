// Packed matrices of the CUDA device family: one blob per matrix, header first. What every format shares;
// each format has a header of its own beside this one. All integers are little-endian.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>

#include "cross/dtype.h"
#include "cross/format.h"

namespace cross::formats::gpu {

/// The first bytes of every blob.
struct BlobHeader {
  std::uint32_t format = 0;  ///< cross::Format
  std::uint32_t bytes =
      0;  ///< of the header that follows, this one included; payload starts at a multiple of 128
  std::int32_t rows = 0, cols = 0;
  std::uint64_t blob_bytes = 0;  ///< of header and payload
};

/// Whether a format's values are of `dtype`: fp32 for cross_panels, split_blocks and row_lists, 16 bits for
/// the others.
constexpr bool holds(Format format, DType dtype) {
  return (format == Format::cross_panels || format == Format::split_blocks || format == Format::row_lists) ==
         (dtype == DType::fp32);
}

/// Called for every stored value: row and column of W, its 16 or 32 bits.
using Visitor = std::function<void(std::int64_t row, std::int64_t col, std::uint32_t bits)>;

/// Empty if `blob` is a well-formed matrix of this format and shape: every count, offset and column in range,
/// so that the kernels may trust it. Touches no byte outside `blob`. Formats whose every step is followed
/// take up to `threads` threads.
std::string check(std::span<const std::byte> blob, Format format, std::int64_t rows, std::int64_t cols,
                  std::size_t threads = 1);

/// Visits every stored value, padding left out. The blob must have passed `check`.
void decode(std::span<const std::byte> blob, const Visitor& visit);

}  // namespace cross::formats::gpu
