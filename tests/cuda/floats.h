// fp32 matrices for tests on a GPU, and what products of them have to be.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "cross/cuda.h"
#include "cross/matrix.h"

namespace cross::testing {

struct Floats {
  std::int64_t rows = 0, cols = 0;
  std::vector<float> values;

  Floats(std::int64_t row_count, std::int64_t col_count)
      : rows(row_count), cols(col_count), values(static_cast<std::size_t>(rows * cols)) {}
  float& at(std::int64_t r, std::int64_t c) { return values[static_cast<std::size_t>(r * cols + c)]; }
  float at(std::int64_t r, std::int64_t c) const { return values[static_cast<std::size_t>(r * cols + c)]; }
  std::span<const std::byte> bytes() const { return std::as_bytes(std::span(values)); }
  MatrixView view() const { return {DType::fp32, rows, cols, bytes().data()}; }
};

inline Floats random_floats(unsigned seed, std::int64_t rows, std::int64_t cols, double density) {
  Floats result(rows, cols);
  std::mt19937 random(seed);
  std::normal_distribution<float> value;
  std::bernoulli_distribution keep(density);
  for (float& v : result.values) v = keep(random) ? value(random) : 0.0f;
  return result;
}

/// y[t, r] within `tolerance` of Σ|w·x| (docs/numerics.md).
inline void expect_product(const Floats& weight, const Floats& x, std::span<const float> y,
                           Activation activation = Activation::none, const Floats* residual = nullptr,
                           std::span<const float> bias = {}) {
  constexpr double tolerance = 1.5e-6;
  std::vector<std::string> wrong(static_cast<std::size_t>(weight.rows));  // one a row: threads share rows
#pragma omp parallel for schedule(dynamic, 8)
  for (std::int64_t r = 0; r < weight.rows; ++r)
    for (std::int64_t t = 0; t < x.rows; ++t) {
      double sum = bias.empty() ? 0.0 : static_cast<double>(bias[static_cast<std::size_t>(r)]);
      double magnitude = std::abs(sum);
      for (std::int64_t k = 0; k < weight.cols; ++k) {
        if (weight.at(r, k) == 0.0f && !std::signbit(weight.at(r, k))) continue;
        const double term = static_cast<double>(weight.at(r, k)) * static_cast<double>(x.at(t, k));
        sum += term;
        magnitude += std::abs(term);
      }
      if (activation == Activation::relu) sum = sum > 0 || std::isnan(sum) ? sum : 0;
      if (residual != nullptr) {
        sum += static_cast<double>(residual->at(t, r));
        magnitude += std::abs(static_cast<double>(residual->at(t, r)));
      }
      const auto got = static_cast<double>(y[static_cast<std::size_t>(t * weight.rows + r)]);
      const bool fits = std::isnan(sum)   ? std::isnan(got)
                        : std::isinf(sum) ? got == sum
                                          : std::abs(got - sum) <= tolerance * magnitude + 1e-37;
      if (fits) continue;
      wrong[static_cast<std::size_t>(r)] = fmt::format("y[{}, {}] is {} instead of {}", t, r, got, sum);
      break;
    }
  for (const std::string& first : wrong) ASSERT_EQ(first, "");
}

}  // namespace cross::testing
