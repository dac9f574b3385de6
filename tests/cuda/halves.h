// Matrices of 16-bit values with chosen zeros, and what their product must be.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "cross/epilogue.h"
#include "cross/format.h"
#include "cross/matrix.h"

namespace cross::testing {

/// Row-major bf16 or fp16: a weight or the activations of some tokens.
struct Halves {
  DType dtype = DType::bf16;
  std::int64_t rows = 0, cols = 0;
  std::vector<std::uint16_t> bits;

  Halves(DType type, std::int64_t row_count, std::int64_t col_count)
      : dtype(type), rows(row_count), cols(col_count), bits(static_cast<std::size_t>(rows * cols)) {}

  std::uint16_t& at(std::int64_t r, std::int64_t c) { return bits[static_cast<std::size_t>(r * cols + c)]; }
  std::uint16_t at(std::int64_t r, std::int64_t c) const {
    return bits[static_cast<std::size_t>(r * cols + c)];
  }
  void set(std::int64_t r, std::int64_t c, float value) {
    at(r, c) = static_cast<std::uint16_t>(bits_from_float(value, dtype));
  }
  float value(std::int64_t r, std::int64_t c) const { return float_from_bits(at(r, c), dtype); }
  MatrixView view() const { return {dtype, rows, cols, reinterpret_cast<const std::byte*>(bits.data())}; }
  std::span<const std::byte> bytes() const { return std::as_bytes(std::span(bits)); }
};

/// Each position kept with probability `density`, values uniform in ±[1/16, 1).
Halves random_halves(std::uint64_t seed, DType dtype, std::int64_t rows, std::int64_t cols, double density);

/// Blocks of 64x64, each kept whole with probability `density`.
Halves random_blocks(std::uint64_t seed, DType dtype, std::int64_t rows, std::int64_t cols, double density);
/// At most two of every four columns are kept: for formats that hold nothing else.
Halves random_two_four(std::uint64_t seed, DType dtype, std::int64_t rows, std::int64_t cols, double density);

/// A random weight that `format` can hold: i.i.d., or 2:4 or whole blocks where the format is made for that.
Halves random_weight(Format format, std::uint64_t seed, DType dtype, std::int64_t rows, std::int64_t cols,
                     double density);

/// y[t, r] = activation(Σ over kept W[r, k] of W[r, k]·x[t, k] + bias[r]) + residual[t, r] in float64.
struct Expected {
  std::int64_t tokens = 0, rows = 0;
  std::vector<double> sum;        ///< [tokens][rows], without the epilogue
  std::vector<double> magnitude;  ///< Σ|w·x| of the same
  std::vector<double> terms;      ///< [rows]: kept weights
};
/// A pruned position contributes nothing, whatever x holds there.
Expected exact_product(const Halves& weight, const Halves& x);

struct Epilogue {
  std::vector<float> bias;           ///< [rows], or empty
  const Halves* residual = nullptr;  ///< [tokens, rows], or nullptr
  Activation activation = Activation::none;
};

/// Empty if every element of y[tokens, rows] is as near to the exact one as an fp32 sum in any order, the
/// epilogue and the rounding of y allow (NaN and Inf must agree); else the first that is not. The first
/// `tokens` tokens of `expected` count.
std::string mismatch(const Expected& expected, const Epilogue& epilogue, const Halves& y);

}  // namespace cross::testing
