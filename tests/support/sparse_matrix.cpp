#include "support/sparse_matrix.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>

namespace cross::testing {
namespace {

float rounded(float value, DType dtype) {
  return dtype == DType::fp32 ? value : float_from_bf16(bf16_from_float(value));
}

float wide_value(std::mt19937_64& random) {
  const float mantissa = std::uniform_real_distribution<float>(1.0f, 10.0f)(random);
  const float exponent = static_cast<float>(std::uniform_int_distribution<int>(-12, 11)(random));
  return (random() & 1u) != 0 ? mantissa * std::pow(10.0f, exponent) : -mantissa * std::pow(10.0f, exponent);
}

}  // namespace

float random_value(std::mt19937_64& random, Values kind, DType dtype) {
  switch (kind) {
    case Values::ordinary: {
      const float value = std::uniform_real_distribution<float>(-1.0f, 1.0f)(random);
      return rounded(value == 0.0f ? 0.5f : value, dtype);
    }
    case Values::integers: {
      const int value = std::uniform_int_distribution<int>(1, 8)(random);
      return static_cast<float>((random() & 1u) != 0 ? value : -value);
    }
    case Values::wide:
      return rounded(wide_value(random), dtype);
    case Values::extreme:
      break;
  }
  switch (random() % 4) {
    case 0:
      return -0.0f;
    case 1: {
      // The smallest bf16 subnormal is fp32's times 2^16; both signs.
      const std::uint32_t magnitude = 1u + static_cast<std::uint32_t>(random() % 126u);
      return std::bit_cast<float>((magnitude << 16) | static_cast<std::uint32_t>(random() & 1u) << 31);
    }
    default:
      return rounded(wide_value(random), dtype);
  }
}

void Array::set(std::int64_t r, std::int64_t c, float value) {
  std::byte* at = bytes_.data() + static_cast<std::size_t>(r * cols_ + c) * size_of(dtype_);
  if (dtype_ == DType::fp32) {
    std::memcpy(at, &value, 4);
  } else {
    const std::uint16_t half = dtype_ == DType::bf16 ? bf16_from_float(value) : fp16_from_float(value);
    std::memcpy(at, &half, 2);
  }
}

Array masked_array(std::uint64_t seed, DType dtype, std::int64_t rows, std::int64_t cols, const Kept& kept,
                   Values values) {
  std::mt19937_64 random(seed);
  Array array(dtype, rows, cols);
  for (std::int64_t r = 0; r < rows; ++r)
    for (std::int64_t c = 0; c < cols; ++c)
      if (kept(r, c)) array.set(r, c, random_value(random, values, dtype));
  return array;
}

Array random_array(std::uint64_t seed, DType dtype, std::int64_t rows, std::int64_t cols, double density,
                   Values values) {
  std::mt19937_64 random(seed + 1);
  std::bernoulli_distribution kept(density);
  return masked_array(
      seed, dtype, rows, cols, [&](auto, auto) { return kept(random); }, values);
}

Array n_m_array(std::uint64_t seed, DType dtype, std::int64_t rows, std::int64_t cols, int keep, int group,
                Values values) {
  std::mt19937_64 random(seed + 1);
  std::vector<int> order(static_cast<std::size_t>(group));
  std::vector<bool> chosen(order.size());
  return masked_array(
      seed, dtype, rows, cols,
      [&](std::int64_t, std::int64_t c) {
        if (c % group == 0) {
          std::iota(order.begin(), order.end(), 0);
          std::shuffle(order.begin(), order.end(), random);
          std::fill(chosen.begin(), chosen.end(), false);
          // One group in eight keeps fewer, so that padding is needed.
          const int here =
              random() % 8 == 0 ? static_cast<int>(random() % static_cast<unsigned>(keep)) : keep;
          for (int i = 0; i < here; ++i)
            chosen[static_cast<std::size_t>(order[static_cast<std::size_t>(i)])] = true;
        }
        return static_cast<bool>(chosen[static_cast<std::size_t>(c % group)]);
      },
      values);
}

Product exact_product(const Array& weight, const Array& x) {
  constexpr double epsilon = 0x1p-24;
  // vdpbf16ps counts a subnormal product or sum as zero; the other units lose at most half of 2^-149.
  const double underflow = weight.dtype() == DType::bf16 ? 0x1p-125 : 0x1p-148;
  Product product;
  product.rows = weight.rows();
  product.value.resize(static_cast<std::size_t>(x.rows() * weight.rows()));
  product.tolerance.resize(product.value.size());
  std::vector<double> wide(static_cast<std::size_t>(x.rows() * x.cols()));
  for (std::int64_t t = 0; t < x.rows(); ++t)
    for (std::int64_t c = 0; c < x.cols(); ++c) wide[static_cast<std::size_t>(t * x.cols() + c)] = x.at(t, c);
  std::vector<std::pair<std::int64_t, double>> kept;
  for (std::int64_t r = 0; r < weight.rows(); ++r) {
    kept.clear();
    for (std::int64_t c = 0; c < weight.cols(); ++c)
      if (weight.bits(r, c) != 0) kept.emplace_back(c, weight.at(r, c));
    const auto terms = static_cast<double>(kept.size());
    for (std::int64_t t = 0; t < x.rows(); ++t) {
      const double* row = wide.data() + t * x.cols();
      double sum = 0, magnitude = 0;
      for (const auto& [c, w] : kept) {
        sum += w * row[c];
        magnitude += std::abs(w * row[c]);
      }
      product.value[product.index(t, r)] = sum;
      product.tolerance[product.index(t, r)] = 2 * (terms + 16) * epsilon * magnitude + terms * underflow;
    }
  }
  return product;
}

std::string mismatch(double exact, double tolerance, double value) {
  if (std::isnan(exact) || std::isinf(exact)) {
    if (std::isnan(exact) ? std::isnan(value) : value == exact) return {};
  } else if (std::abs(value - exact) <= tolerance) {
    return {};
  }
  return fmt::format("{} instead of {} ± {}", value, exact, tolerance);
}

}  // namespace cross::testing
