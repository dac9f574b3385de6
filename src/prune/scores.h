// Magnitudes as whole numbers that order like them, for elements, blocks and rows alike.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "cross/matrix.h"
#include "cross/prune.h"

namespace cross::prune_detail {

/// Orders like the score: 0 for +0.0 (pruned already), 1 for −0.0, then rising with the magnitude.
using Score = std::uint32_t;

/// InputError: W[r, c] is NaN.
[[noreturn]] void refuse_nan(std::string_view name, std::int64_t r, std::int64_t c);

/// Reads the elements of one dtype as fp32 bits (exact).
template <DType type>
std::uint32_t fp32_bits(const std::byte* at) {
  if constexpr (type == DType::fp32) {
    std::uint32_t bits;
    std::memcpy(&bits, at, sizeof bits);
    return bits;
  } else {
    std::uint16_t bits;
    std::memcpy(&bits, at, sizeof bits);
    if constexpr (type == DType::bf16) return static_cast<std::uint32_t>(bits) << 16;
    return std::bit_cast<std::uint32_t>(float_from_fp16(bits));
  }
}

constexpr std::uint32_t magnitude_mask = 0x7fffffffu;
constexpr std::uint32_t infinity_bits = 0x7f800000u;

constexpr bool is_nan(std::uint32_t bits) { return (bits & magnitude_mask) > infinity_bits; }

/// Dropping the sign by a shift leaves the lowest bit free to tell −0.0 from +0.0.
constexpr Score element_score(std::uint32_t bits) { return bits << 1 | (bits != 0 ? 1u : 0u); }

/// A unit of W: rows [row, row_end), columns [col, col_end).
struct UnitRange {
  std::int64_t row, row_end, col, col_end;
};

/// Score of a block or row: its norm, rounded to fp32.
template <DType type>
Score block_score(const MatrixView& w, const UnitRange& unit, BlockNorm norm, std::string_view name) {
  double sum = 0.0;
  std::uint32_t any = 0;
  for (std::int64_t r = unit.row; r < unit.row_end; ++r) {
    const std::byte* row = w.row(r);
    for (std::int64_t c = unit.col; c < unit.col_end; ++c) {
      const std::uint32_t bits = fp32_bits<type>(row + static_cast<std::size_t>(c) * size_of(type));
      if (is_nan(bits)) refuse_nan(name, r, c);
      any |= bits;
      const double magnitude = std::bit_cast<float>(bits & magnitude_mask);
      sum += norm == BlockNorm::l1 ? magnitude : magnitude * magnitude;
    }
  }
  const double mean = sum / static_cast<double>((unit.row_end - unit.row) * (unit.col_end - unit.col));
  const auto rounded = static_cast<float>(norm == BlockNorm::l1 ? mean : std::sqrt(mean));
  return std::bit_cast<std::uint32_t>(rounded) << 1 | (any != 0 ? 1u : 0u);
}

/// Calls visit(score, unit) for every unit of W in row-major order. Not for n_m, whose groups are not ranked.
template <DType type, typename Visit>
void for_each_unit_of(const MatrixView& w, const Pattern& pattern, std::string_view name, Visit&& visit) {
  if (pattern.kind == PatternKind::unstructured) {
    for (std::int64_t r = 0; r < w.rows; ++r) {
      const std::byte* row = w.row(r);
      for (std::int64_t c = 0; c < w.cols; ++c) {
        const std::uint32_t bits = fp32_bits<type>(row + static_cast<std::size_t>(c) * size_of(type));
        if (is_nan(bits)) refuse_nan(name, r, c);
        visit(element_score(bits), UnitRange{r, r + 1, c, c + 1});
      }
    }
    return;
  }
  const bool whole_rows = pattern.kind == PatternKind::row;
  const std::int64_t height = whole_rows ? 1 : pattern.block_rows;
  const std::int64_t width = whole_rows ? w.cols : pattern.block_cols;
  for (std::int64_t r = 0; r < w.rows; r += height) {
    for (std::int64_t c = 0; c < w.cols; c += width) {
      const UnitRange unit{r, std::min(r + height, w.rows), c, std::min(c + width, w.cols)};
      visit(block_score<type>(w, unit, pattern.norm, name), unit);
    }
  }
}

template <typename Visit>
void for_each_unit(const MatrixView& w, const Pattern& pattern, std::string_view name, Visit&& visit) {
  switch (w.dtype) {
    case DType::fp32:
      return for_each_unit_of<DType::fp32>(w, pattern, name, visit);
    case DType::fp16:
      return for_each_unit_of<DType::fp16>(w, pattern, name, visit);
    case DType::bf16:
      return for_each_unit_of<DType::bf16>(w, pattern, name, visit);
  }
}

/// How many units for_each_unit visits.
std::int64_t count_units(const MatrixView& w, const Pattern& pattern);

/// Positions whose bits are all zero.
std::int64_t count_zeros(const MatrixView& w);

}  // namespace cross::prune_detail
