// One bit per position of a weight matrix: all that the analysis needs of it, in 1/32 of the bytes of fp32.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "cross/matrix.h"

namespace cross::compiler {

/// Bit c % 64 of word c / 64 of a row is set if W[r, c] is not pruned; bits beyond `cols` are zero.
class Occupancy {
 public:
  explicit Occupancy(const MatrixView& weights);

  std::int64_t rows() const { return rows_; }
  std::int64_t cols() const { return cols_; }
  std::size_t words_per_row() const { return words_per_row_; }
  std::span<const std::uint64_t> row(std::int64_t r) const {
    return {words_.data() + static_cast<std::size_t>(r) * words_per_row_, words_per_row_};
  }

 private:
  std::int64_t rows_, cols_;
  std::size_t words_per_row_;
  std::vector<std::uint64_t> words_;
};

/// Four counts of 16 positions each, in the four 16-bit lanes of the result.
constexpr std::uint64_t counts_of_16(std::uint64_t bits) {
  bits = bits - ((bits >> 1) & 0x5555555555555555u);
  bits = (bits & 0x3333333333333333u) + ((bits >> 2) & 0x3333333333333333u);
  bits = (bits + (bits >> 4)) & 0x0f0f0f0f0f0f0f0fu;
  return (bits + (bits >> 8)) & 0x001f001f001f001fu;
}

}  // namespace cross::compiler
