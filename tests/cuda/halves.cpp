#include "cuda/halves.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "compiler/pack/gpu/pack_gpu.h"

namespace cross::testing {
namespace {

float random_value(std::mt19937_64& random) {
  const std::uint64_t bits = random();
  const float magnitude = 0.0625f + 0.9375f * static_cast<float>(bits >> 41 & 0x3fffffu) * 0x1p-22f;
  return (bits >> 63) != 0 ? -magnitude : magnitude;
}

double activated(double v, Activation activation) {
  switch (activation) {
    case Activation::none:
      return v;
    case Activation::relu:
      return v > 0 || std::isnan(v) ? v : 0;
    case Activation::gelu:
      return 0.5 * v * (1 + std::erf(v * std::sqrt(0.5)));
    case Activation::gelu_tanh:
      return 0.5 * v * (1 + std::tanh(std::sqrt(2 / M_PI) * (v + 0.044715 * v * v * v)));
    case Activation::silu:
      return v / (1 + std::exp(-v));
  }
  return v;
}

}  // namespace

Halves random_halves(std::uint64_t seed, DType dtype, std::int64_t rows, std::int64_t cols, double density) {
  Halves halves(dtype, rows, cols);
  std::mt19937_64 random(seed);
  std::uniform_real_distribution<double> uniform;
  for (std::int64_t r = 0; r < rows; ++r)
    for (std::int64_t c = 0; c < cols; ++c)
      if (density >= 1 || uniform(random) < density) halves.set(r, c, random_value(random));
  return halves;
}

Halves random_two_four(std::uint64_t seed, DType dtype, std::int64_t rows, std::int64_t cols,
                       double density) {
  Halves halves = random_halves(seed, dtype, rows, cols, density);
  std::mt19937_64 random(seed + 1);
  for (std::int64_t r = 0; r < rows; ++r)
    for (std::int64_t group = 0; group < cols; group += 4) {
      std::vector<std::int64_t> kept;
      for (std::int64_t c = group; c < std::min(group + 4, cols); ++c)
        if (halves.at(r, c) != 0) kept.push_back(c);
      std::shuffle(kept.begin(), kept.end(), random);
      for (std::size_t i = 2; i < kept.size(); ++i) halves.at(r, kept[i]) = 0;
    }
  return halves;
}

Halves random_blocks(std::uint64_t seed, DType dtype, std::int64_t rows, std::int64_t cols, double density) {
  constexpr std::int64_t side = 64;
  Halves halves = random_halves(seed, dtype, rows, cols, 1);
  const Halves kept =
      random_halves(seed + 1, dtype, (rows + side - 1) / side, (cols + side - 1) / side, density);
  for (std::int64_t r = 0; r < rows; ++r)
    for (std::int64_t c = 0; c < cols; ++c)
      if (kept.at(r / side, c / side) == 0) halves.at(r, c) = 0;
  return halves;
}

Halves random_weight(Format format, std::uint64_t seed, DType dtype, std::int64_t rows, std::int64_t cols,
                     double density) {
  if (format == Format::block_tiles) return random_blocks(seed, dtype, rows, cols, density);
  Halves weight = random_halves(seed, dtype, rows, cols, density);
  if (compiler::gpu_format_refuses(weight.view(), dtype, format).empty()) return weight;
  return random_two_four(seed, dtype, rows, cols, density);
}

Expected exact_product(const Halves& weight, const Halves& x) {
  Expected expected{x.rows, weight.rows, {}, {}, std::vector<double>(static_cast<std::size_t>(weight.rows))};
  expected.sum.resize(static_cast<std::size_t>(x.rows * weight.rows));
  expected.magnitude.resize(expected.sum.size());
  std::vector<double> wide(x.bits.size());  // [cols][tokens]: one column of W meets all tokens in a row
  for (std::int64_t t = 0; t < x.rows; ++t)
    for (std::int64_t c = 0; c < x.cols; ++c) wide[static_cast<std::size_t>(c * x.rows + t)] = x.value(t, c);
#pragma omp parallel for schedule(dynamic, 8)
  for (std::int64_t r = 0; r < weight.rows; ++r) {
    std::vector<double> sum(static_cast<std::size_t>(x.rows)), magnitude(sum.size());
    double terms = 0;
    for (std::int64_t c = 0; c < weight.cols; ++c) {
      if (weight.at(r, c) == 0) continue;
      const double w = weight.value(r, c);
      const double* column = wide.data() + c * x.rows;
      for (std::size_t t = 0; t < sum.size(); ++t) {
        sum[t] += w * column[t];
        magnitude[t] += std::abs(w * column[t]);
      }
      ++terms;
    }
    expected.terms[static_cast<std::size_t>(r)] = terms;
    for (std::size_t t = 0; t < sum.size(); ++t) {
      const auto at = static_cast<std::size_t>(static_cast<std::int64_t>(t) * weight.rows + r);
      expected.sum[at] = sum[t];
      expected.magnitude[at] = magnitude[t];
    }
  }
  return expected;
}

namespace {

/// What an output must be, and by how much it may be off.
struct Allowed {
  double value = 0, bound = 0;
  bool fits(double got) const {
    if (std::isnan(value)) return std::isnan(got);
    return std::isinf(value) ? got == value : std::abs(got - value) <= bound;
  }
};

Allowed allowed(const Expected& expected, const Epilogue& epilogue, DType dtype, std::int64_t t,
                std::int64_t r) {
  const double unit = dtype == DType::bf16 ? 0x1p-8 : 0x1p-11;
  const auto row = static_cast<std::size_t>(r), at = static_cast<std::size_t>(t * expected.rows + r);
  double value = expected.sum[at];
  double magnitude = expected.magnitude[at];
  if (!epilogue.bias.empty()) {
    value += static_cast<double>(epilogue.bias[row]);
    magnitude += std::abs(static_cast<double>(epilogue.bias[row]));
  }
  double bound = 2 * (expected.terms[row] + 64) * 0x1p-24 * magnitude + 0x1p-120;
  if (epilogue.activation != Activation::none) {
    value = activated(value, epilogue.activation);
    bound = 1.2 * bound + 1e-6 * (1 + std::abs(value));  // slopes are below 1.13
  }
  if (epilogue.residual != nullptr) value += static_cast<double>(epilogue.residual->value(t, r));
  // The residual is added to what the product would have been stored as, or to the fp32 sum: both occur.
  bound += (epilogue.residual != nullptr ? 2 : 1) * unit * (std::abs(value) + bound + magnitude * 0x1p-20);
  if (dtype == DType::fp16) bound += 0x1p-24;
  return {value, bound};
}

}  // namespace

std::string mismatch(const Expected& expected, const Epilogue& epilogue, const Halves& y) {
  std::vector<std::int64_t> wrong(static_cast<std::size_t>(y.rows), y.cols);  // first row of a token
#pragma omp parallel for if (y.rows * y.cols > 4096)
  for (std::int64_t t = 0; t < y.rows; ++t)
    for (std::int64_t r = 0; r < y.cols; ++r)
      if (!allowed(expected, epilogue, y.dtype, t, r).fits(static_cast<double>(y.value(t, r)))) {
        wrong[static_cast<std::size_t>(t)] = r;
        break;
      }
  for (std::int64_t t = 0; t < y.rows; ++t) {
    const std::int64_t r = wrong[static_cast<std::size_t>(t)];
    if (r == y.cols) continue;
    const Allowed right = allowed(expected, epilogue, y.dtype, t, r);
    return fmt::format("y[{}, {}] is {} instead of {} ± {}", t, r, static_cast<double>(y.value(t, r)),
                       right.value, right.bound);
  }
  return {};
}

}  // namespace cross::testing
