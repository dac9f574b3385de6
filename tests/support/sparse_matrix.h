// Matrices and activations with chosen zeros and values, and what their product must be.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "cross/matrix.h"

namespace cross::testing {

/// What the kept values look like.
enum class Values : std::uint8_t {
  ordinary,  ///< uniform in ±1
  integers,  ///< small enough that every order of summation is exact in fp32
  wide,      ///< from 1e-12 to 1e12 in magnitude
  extreme,   ///< `wide`, −0.0 and subnormals
};

/// A random value of `kind`, never +0.0 and exact in `dtype`.
float random_value(std::mt19937_64& random, Values kind, DType dtype);

/// A row-major array of fp32 or bf16 that owns its bytes: a weight or the activations of some tokens.
class Array {
 public:
  Array() = default;
  Array(DType dtype, std::int64_t rows, std::int64_t cols)
      : dtype_(dtype),
        rows_(rows),
        cols_(cols),
        bytes_(static_cast<std::size_t>(rows * cols) * size_of(dtype)) {}

  DType dtype() const { return dtype_; }
  std::int64_t rows() const { return rows_; }
  std::int64_t cols() const { return cols_; }
  MatrixView view() const { return {dtype_, rows_, cols_, bytes_.data()}; }
  float at(std::int64_t r, std::int64_t c) const { return view().value(r, c); }
  std::uint32_t bits(std::int64_t r, std::int64_t c) const { return view().bits(r, c); }
  void set(std::int64_t r, std::int64_t c, float value);
  std::vector<std::byte>& bytes() { return bytes_; }
  const std::vector<std::byte>& bytes() const { return bytes_; }

 private:
  DType dtype_ = DType::fp32;
  std::int64_t rows_ = 0;
  std::int64_t cols_ = 0;
  std::vector<std::byte> bytes_;
};

using Kept = std::function<bool(std::int64_t row, std::int64_t col)>;

/// Random values where `kept` says so, zeros elsewhere.
Array masked_array(std::uint64_t seed, DType dtype, std::int64_t rows, std::int64_t cols, const Kept& kept,
                   Values values);
/// Each position kept with probability `density`.
Array random_array(std::uint64_t seed, DType dtype, std::int64_t rows, std::int64_t cols, double density,
                   Values values);
/// At most `keep` of every `group` columns, usually exactly.
Array n_m_array(std::uint64_t seed, DType dtype, std::int64_t rows, std::int64_t cols, int keep, int group,
                Values values);

/// Y[t, r] = Σ over kept W[r, k] of W[r, k] · X[t, k] in float64, and how far an fp32 sum in any order may be
/// away: 2 (terms + 16) ε Σ|w||x|, plus what underflow can cost. A pruned position contributes nothing.
struct Product {
  std::int64_t rows = 0;
  std::vector<double> value;      ///< [tokens][rows]
  std::vector<double> tolerance;  ///< [tokens][rows]
  std::size_t index(std::int64_t token, std::int64_t row) const {
    return static_cast<std::size_t>(token * rows + row);
  }
};
Product exact_product(const Array& weight, const Array& x);

/// Empty where `value` is close enough to the exact result (NaN and Inf must agree), else a description.
std::string mismatch(double exact, double tolerance, double value);

}  // namespace cross::testing
