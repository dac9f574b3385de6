#include "gpu/sampled_product.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "cross/error.h"

namespace cross_bench {

SampledProduct::SampledProduct(const Weight& weight, const std::vector<std::uint16_t>& x, std::int64_t tokens)
    : dtype_(weight.dtype), rows_(weight.shape.rows) {
  constexpr std::int64_t most = 96;
  const std::int64_t step = std::max<std::int64_t>(1, rows_ / most);
  for (std::int64_t r = 0; r < rows_; r += step) sample_.push_back(r);
  if (sample_.back() != rows_ - 1) sample_.push_back(rows_ - 1);
  value_.resize(static_cast<std::size_t>(tokens) * sample_.size());
  bound_.resize(value_.size());
  const std::int64_t cols = weight.shape.cols;
  std::vector<float> wide(x.size());
  for (std::size_t i = 0; i < x.size(); ++i) wide[i] = cross::float_from_bits(x[i], dtype_);
#pragma omp parallel for schedule(dynamic)
  for (std::size_t s = 0; s < sample_.size(); ++s) {
    const std::uint16_t* row = weight.bits.data() + sample_[s] * cols;
    for (std::int64_t t = 0; t < tokens; ++t) {
      double sum = 0, magnitude = 0, terms = 0;
      for (std::int64_t c = 0; c < cols; ++c) {
        if (row[c] == 0) continue;
        const double product = static_cast<double>(cross::float_from_bits(row[c], dtype_)) *
                               static_cast<double>(wide[static_cast<std::size_t>(t * cols + c)]);
        sum += product;
        magnitude += std::abs(product);
        ++terms;
      }
      const std::size_t at = static_cast<std::size_t>(t) * sample_.size() + s;
      const double accumulated = std::min(terms + 64, 8 * std::sqrt(terms + 64)) * 0x1p-24 * magnitude;
      value_[at] = sum;
      bound_[at] = accumulated +
                   (dtype_ == cross::DType::bf16 ? 0x1p-8 : 0x1p-11) * (std::abs(sum) + accumulated) +
                   0x1p-24;
    }
  }
}

void SampledProduct::check(const std::vector<std::uint16_t>& y, std::int64_t tokens,
                           const std::string& what) const {
  for (std::int64_t t = 0; t < tokens; ++t)
    for (std::size_t s = 0; s < sample_.size(); ++s) {
      const std::size_t at = static_cast<std::size_t>(t) * sample_.size() + s;
      const double got = static_cast<double>(
          cross::float_from_bits(y[static_cast<std::size_t>(t * rows_ + sample_[s])], dtype_));
      if (std::abs(got - value_[at]) <= bound_[at]) continue;
      throw cross::VerificationError(
          fmt::format("{} at {} tokens: y[{}, {}] is {}, should be {}; nothing was timed", what, tokens, t,
                      sample_[s], got, value_[at]));
    }
}

}  // namespace cross_bench
