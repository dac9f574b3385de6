// Byte layouts of packed segments: the contract between pack (which writes them), decode (which defines what
// they mean) and the kernels (which read them fast). All integers are little-endian; every part starts at a
// multiple of 4.
//
// A *segment* holds rows [0, rows) of one row panel and K range [k_begin, k_end). Along K it counts
// *elements*: one column in fp32 and widened bf16, two neighbouring columns in bf16_pair. An element is kept
// when any of its bits is set. Segments end with 64 bytes that kernels may read and that mean nothing
// (`segment_overread`).
//
// K-blocked formats are a sequence of chunks, one per 128 elements of K (the last may be shorter):
//
//   index8 chunk       u32 entries · u8 row[rows] · pad · u8 count[rows] · pad · u8 offset[entries] · pad ·
//                      value[entries] · pad
//                      a list per row, longest first (row[i] says whose list is the i-th; at most 256 rows),
//                      offsets (0 … 127, relative to the chunk) ascending within a list
//   block chunk        u32 vectors · u8 count[groups] · pad · u8 offset[vectors] · pad · value[vectors][4] ·
//   pad
//                      groups = ceil(rows / 4); a vector holds one element of four neighbouring rows, zeros
//                      included
//   dense_panel chunk  value[groups][elements][4] · pad
//
// Whole-row formats keep a row together, words = ceil(columns / 64):
//
//   bitmap             per row: u64 mask[words] · value[popcount(mask)] · pad          (bit i of word w:
//   column 64w+i) n_m                the same with exactly keep·ceil(columns / group) set bits and values in
//   every row: groups with
//                      fewer kept values mark further positions, whose value is zero
//
// bitmap, n_m and the dense matrix store single columns (4-byte fp32 or 2-byte bf16) under every arithmetic.
#pragma once

#include <cstddef>
#include <cstdint>

#include "cross/format.h"
#include "kernels/kernel.h"

namespace cross::formats {

using kernels::Arithmetic;
using kernels::interleaved_rows;
using kernels::k_block_elements;
using kernels::segment_overread;

/// Everything needed to read a segment besides its bytes.
struct SegmentShape {
  Format format = Format::empty;
  Arithmetic arithmetic = Arithmetic::fp32;
  int rows = 0;
  std::int64_t columns = 0;  ///< k_end − k_begin
  int keep = 0;              ///< n_m only
  int group = 0;             ///< n_m only
};

/// Rows that a panel may have: index8 names them in 8 bits.
inline constexpr int max_panel_rows = 256;

constexpr std::size_t round_up(std::size_t value, std::size_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

/// Bytes of one stored value: an element of the K-blocked formats, a column of bitmap, n_m and the dense
/// matrix.
constexpr std::size_t value_bytes(Format format, Arithmetic arithmetic) {
  const bool single_columns = format == Format::bitmap || format == Format::n_m || format == Format::dense;
  if (arithmetic == Arithmetic::bf16_pair && !single_columns) return 4;
  return arithmetic == Arithmetic::fp32 ? 4 : 2;
}

constexpr std::int64_t elements_of(std::int64_t columns, Arithmetic arithmetic) {
  const int per = kernels::columns_per_element(arithmetic);
  return (columns + per - 1) / per;
}

constexpr int groups_of(int rows) { return (rows + interleaved_rows - 1) / interleaved_rows; }
constexpr std::int64_t words_of(std::int64_t columns) { return (columns + 63) / 64; }

/// Kept values per row of n_m, the ragged last group included.
constexpr std::int64_t n_m_values(std::int64_t columns, int keep, int group) {
  const std::int64_t whole = columns / group;
  const std::int64_t rest = columns % group;
  return whole * keep + (rest < keep ? rest : keep);
}

}  // namespace cross::formats
