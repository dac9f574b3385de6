// What the bytes of a segment mean: the plain definition that pack, kernels and the checks of a loaded plan
// agree on.
#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <string>

#include "plan/formats/layout.h"

namespace cross::formats {

/// Called for every stored column, chunk by chunk, the columns of a row ascending; `bits` are the column's
/// fp32 or bf16 bits (zero for padding). Columns are relative to the segment.
using Visitor = std::function<void(int row, std::int64_t column, std::uint32_t bits)>;

/// Bytes that a well-formed segment occupies, without the overread, or an error text if it is malformed:
/// counts that do not add up, offsets outside their block or not ascending, set mask bits past the last
/// column, an end past `bytes`. Touches no byte outside `bytes`.
struct CheckedSize {
  std::size_t bytes = 0;
  std::string error;  ///< empty when well-formed
};
CheckedSize check_segment(std::span<const std::byte> bytes, const SegmentShape& shape);

/// Visits every stored column. The segment must have passed `check_segment`.
void decode_segment(std::span<const std::byte> bytes, const SegmentShape& shape, const Visitor& visit);

/// The same for one row alone, in a fraction of the time.
void decode_row(std::span<const std::byte> bytes, const SegmentShape& shape, int row, const Visitor& visit);

}  // namespace cross::formats
