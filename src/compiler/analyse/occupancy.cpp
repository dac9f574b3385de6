#include "compiler/analyse/occupancy.h"

#include <fmt/format.h>

#include <array>
#include <cstring>

#include "cross/error.h"

namespace cross::compiler {
namespace {

/// Bits of 64 elements at `from`. Written as two loops that compilers turn into vector code: compare to
/// bytes, then gather eight bytes of 0 or 1 into eight bits by one multiplication.
template <typename Element>
std::uint64_t word_of(const std::byte* from) {
  std::array<Element, 64> values;
  std::memcpy(values.data(), from, sizeof values);
  std::array<std::uint8_t, 64> kept;
  for (std::size_t i = 0; i < 64; ++i) kept[i] = values[i] != 0;
  std::uint64_t word = 0;
  for (std::size_t byte = 0; byte < 8; ++byte) {
    std::uint64_t eight;
    std::memcpy(&eight, kept.data() + 8 * byte, sizeof eight);
    word |= ((eight * 0x0102040810204080u) >> 56) << (8 * byte);
  }
  return word;
}

template <typename Element>
void fill_row(const std::byte* from, std::int64_t cols, std::uint64_t* words) {
  const std::int64_t whole = cols / 64;
  for (std::int64_t w = 0; w < whole; ++w)
    words[w] = word_of<Element>(from + w * 64 * std::int64_t{sizeof(Element)});
  for (std::int64_t c = whole * 64; c < cols; ++c) {
    Element value;
    std::memcpy(&value, from + c * std::int64_t{sizeof(Element)}, sizeof value);
    words[whole] |= std::uint64_t{value != 0} << (c % 64);
  }
}

std::size_t words_for(const MatrixView& weights) {
  if (weights.rows < 0 || weights.cols < 0) {
    throw InternalError(fmt::format("a matrix of {}x{} cannot be analysed", weights.rows, weights.cols));
  }
  return static_cast<std::size_t>((weights.cols + 63) / 64);
}

}  // namespace

Occupancy::Occupancy(const MatrixView& weights)
    : rows_(weights.rows),
      cols_(weights.cols),
      words_per_row_(words_for(weights)),
      words_(static_cast<std::size_t>(weights.rows) * words_per_row_) {
  if (cols_ == 0) return;
  for (std::int64_t r = 0; r < rows_; ++r) {
    std::uint64_t* words = words_.data() + static_cast<std::size_t>(r) * words_per_row_;
    if (weights.dtype == DType::fp32) {
      fill_row<std::uint32_t>(weights.row(r), cols_, words);
    } else {
      fill_row<std::uint16_t>(weights.row(r), cols_, words);
    }
  }
}

}  // namespace cross::compiler
