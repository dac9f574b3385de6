#include "gpu/sampled_product.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "cross/error.h"
#include "driver/cuda/masked_bits.h"

namespace cross_bench {

using cross::driver::cuda::position_hash;

namespace {

/// One of [begin, end), the same every time.
std::int64_t one_of(std::int64_t begin, std::int64_t end, std::int64_t salt) {
  return begin +
         static_cast<std::int64_t>(position_hash(5, begin, salt) % static_cast<std::uint64_t>(end - begin));
}

std::vector<std::int64_t> sample_rows(std::int64_t rows) {
  constexpr std::int64_t most = 128;
  std::set<std::int64_t> sample = {0, rows - 1};
  const std::int64_t strata = std::min(most, rows);
  for (std::int64_t s = 0; s < strata; ++s)
    sample.insert(one_of(rows * s / strata, rows * (s + 1) / strata, 0));
  return {sample.begin(), sample.end()};
}

}  // namespace

std::vector<std::int64_t> SampledProduct::sample_tokens(const std::vector<std::int64_t>& token_counts) {
  constexpr std::int64_t each = 8;
  const std::int64_t count = *std::max_element(token_counts.begin(), token_counts.end());
  std::set<std::int64_t> sample;
  for (std::int64_t begin = 0, end = 1; begin < count; begin = end, end *= 2)
    for (std::int64_t i = 0; i < each; ++i) sample.insert(one_of(begin, std::min(end, count), i));
  for (const std::int64_t t : token_counts) sample.insert(t - 1);
  return {sample.begin(), sample.end()};
}

SampledProduct::SampledProduct(const Weight& weight, std::vector<std::int64_t> tokens,
                               std::span<const std::byte> x)
    : dtype_(weight.dtype),
      rows_(weight.shape.rows),
      sample_(sample_rows(rows_)),
      tokens_(std::move(tokens)),
      value_(tokens_.size() * sample_.size()),
      bound_(value_.size()) {
  const cross::MatrixView w = weight.view();
  const cross::MatrixView rows_of_x{dtype_, static_cast<std::int64_t>(tokens_.size()), w.cols, x.data()};
  std::vector<float> wide(static_cast<std::size_t>(rows_of_x.elements()));
#pragma omp parallel for schedule(static)
  for (std::int64_t t = 0; t < rows_of_x.rows; ++t)
    for (std::int64_t c = 0; c < w.cols; ++c)
      wide[static_cast<std::size_t>(t * w.cols + c)] = rows_of_x.value(t, c);
#pragma omp parallel for schedule(dynamic)
  for (std::size_t s = 0; s < sample_.size(); ++s) {
    std::vector<std::pair<std::int64_t, double>> kept;
    for (std::int64_t c = 0; c < w.cols; ++c)
      if (w.bits(sample_[s], c) != 0) kept.emplace_back(c, static_cast<double>(w.value(sample_[s], c)));
    const double terms = static_cast<double>(kept.size()) + 64;
    for (std::size_t t = 0; t < tokens_.size(); ++t) {
      const float* row = wide.data() + t * static_cast<std::size_t>(w.cols);
      double sum = 0, magnitude = 0;
      for (const auto& [c, value] : kept) {
        const double product = value * static_cast<double>(row[c]);
        sum += product;
        magnitude += std::abs(product);
      }
      const std::size_t at = t * sample_.size() + s;
      const double accumulated = std::min(terms, 8 * std::sqrt(terms)) * 0x1p-24 * magnitude;
      const double rounding = dtype_ == cross::DType::fp32   ? 0
                              : dtype_ == cross::DType::bf16 ? 0x1p-8
                                                             : 0x1p-11;
      value_[at] = sum;
      bound_[at] = accumulated + rounding * (std::abs(sum) + accumulated) + 0x1p-24;
    }
  }
}

std::span<const std::int64_t> SampledProduct::tokens_below(std::int64_t count) const {
  const auto end = std::lower_bound(tokens_.begin(), tokens_.end(), count);
  return {tokens_.begin(), end};
}

SampledError SampledProduct::check(std::span<const std::byte> y, std::int64_t count,
                                   const std::string& what) const {
  const auto tokens = tokens_below(count);
  const cross::MatrixView rows_of_y{dtype_, static_cast<std::int64_t>(tokens.size()), rows_, y.data()};
  double most_error = 0, most = 0;
  for (std::size_t t = 0; t < tokens.size(); ++t)
    for (std::size_t s = 0; s < sample_.size(); ++s) {
      const std::size_t at = t * sample_.size() + s;
      const auto got = static_cast<double>(rows_of_y.value(static_cast<std::int64_t>(t), sample_[s]));
      const double error = std::abs(got - value_[at]);
      most_error = std::max(most_error, error);
      most = std::max(most, std::abs(value_[at]));
      if (error <= bound_[at]) continue;
      throw cross::VerificationError(
          fmt::format("{} at {} tokens: y[{}, {}] is {}, should be {}; nothing was timed", what, count,
                      tokens[t], sample_[s], got, value_[at]));
    }
  return {most > 0 ? most_error / most : 0};
}

}  // namespace cross_bench
