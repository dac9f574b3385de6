// The transformer kernels of every ISA that this CPU has against plain loops in float64.
#include "kernels/transformer/transformer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "kernels/transformer_values.h"

namespace cross::kernels {
namespace {

using testing::draw;
using testing::tolerance;
using testing::value_at;
using testing::Values;

class Transformer : public testing::KernelsOfEveryIsa {};

TEST_P(Transformer, layer_norm_is_the_formula) {
  for (const std::int64_t size : {1, 2, 7, 16, 36, 100, 384, 1027}) {
    for (int addends = 1; addends <= 3; ++addends) {
      std::vector<Values> x;
      for (int i = 0; i < addends; ++i) x.push_back(draw(size, dtype(), 10 + i, 3));
      const Values scale = draw(size, DType::fp32, 1), shift = draw(size, DType::fp32, 2);
      std::vector<std::byte> y(static_cast<std::size_t>(size) * size_of(dtype()));
      std::vector<float> scratch(static_cast<std::size_t>(size));
      LayerNormArgs args{.dtype = dtype(),
                         .size = size,
                         .scale = reinterpret_cast<const float*>(scale.bytes.data()),
                         .shift = reinterpret_cast<const float*>(shift.bytes.data()),
                         .epsilon = 1e-5f,
                         .y = y.data(),
                         .scratch = scratch.data()};
      for (int i = 0; i < addends; ++i) args.addends[i] = x[static_cast<std::size_t>(i)].bytes.data();
      kernels().layer_norm(args);
      std::vector<double> sum(static_cast<std::size_t>(size));
      double mean = 0, variance = 0;
      for (std::size_t i = 0; i < sum.size(); ++i) {
        for (const Values& addend : x) sum[i] += addend.exact[i];
        mean += sum[i] / static_cast<double>(size);
      }
      for (const double value : sum) variance += (value - mean) * (value - mean) / static_cast<double>(size);
      for (std::size_t i = 0; i < sum.size(); ++i) {
        const double expected =
            (sum[i] - mean) / std::sqrt(variance + 1e-5f) * scale.exact[i] + shift.exact[i];
        EXPECT_NEAR(value_at(y, static_cast<std::int64_t>(i), dtype()), expected,
                    tolerance(dtype()) * (1 + std::fabs(expected)) * 3)
            << size << ", " << addends << ", " << i;
      }
    }
  }
}

TEST_P(Transformer, attention_is_the_formula) {
  for (const std::int64_t head_size : {8, 12, 32, 64, 80}) {
    for (const std::int64_t tokens : {1, 2, 3, 4, 5, 31, 32, 33, 70}) {
      const std::int64_t stride = 3 * head_size + 5, y_stride = head_size + 3;
      const Values qkv = draw(tokens * stride, dtype(), 7, 2);
      std::vector<std::byte> y(static_cast<std::size_t>(tokens * y_stride) * size_of(dtype()));
      std::vector<float> scratch(kernels().attention_scratch(tokens, head_size));
      const float scale = 1.0f / std::sqrt(static_cast<float>(head_size));
      const std::size_t part = static_cast<std::size_t>(head_size) * size_of(dtype());
      kernels().attention({.q = qkv.bytes.data(),
                           .k = qkv.bytes.data() + part,
                           .v = qkv.bytes.data() + 2 * part,
                           .stride = stride,
                           .dtype = dtype(),
                           .tokens = tokens,
                           .head_size = head_size,
                           .scale = scale,
                           .y = y.data(),
                           .y_stride = y_stride,
                           .scratch = scratch.data()});
      const auto at = [&](std::int64_t t, std::int64_t i) {
        return qkv.exact[static_cast<std::size_t>(t * stride + i)];
      };
      for (std::int64_t t = 0; t < tokens; ++t) {
        std::vector<double> weight;
        double largest = -std::numeric_limits<double>::infinity(), sum = 0;
        for (std::int64_t u = 0; u < tokens; ++u) {
          double score = 0;
          for (std::int64_t d = 0; d < head_size; ++d) score += at(t, d) * at(u, head_size + d) * scale;
          weight.push_back(score);
          largest = std::max(largest, score);
        }
        for (double& w : weight) sum += w = std::exp(w - largest);
        for (std::int64_t d = 0; d < head_size; ++d) {
          double expected = 0;
          for (std::int64_t u = 0; u < tokens; ++u)
            expected += weight[static_cast<std::size_t>(u)] / sum * at(u, 2 * head_size + d);
          EXPECT_NEAR(value_at(y, t * y_stride + d, dtype()), expected, tolerance(dtype()) * 3)
              << head_size << ", " << tokens << ", " << t << ", " << d;
        }
      }
    }
  }
}

TEST_P(Transformer, attention_survives_large_scores) {
  // Scores of ±10⁴: e^score alone would overflow, and all weight goes to one token.
  const std::int64_t tokens = 9, head_size = 8;
  Values qkv = draw(tokens * 3 * head_size, dtype(), 3, 100);
  std::vector<std::byte> y(static_cast<std::size_t>(tokens * head_size) * size_of(dtype()));
  std::vector<float> scratch(kernels().attention_scratch(tokens, head_size));
  const std::size_t part = static_cast<std::size_t>(head_size) * size_of(dtype());
  kernels().attention({qkv.bytes.data(), qkv.bytes.data() + part, qkv.bytes.data() + 2 * part, 3 * head_size,
                       dtype(), tokens, head_size, 1.0f, y.data(), head_size, scratch.data()});
  for (std::int64_t i = 0; i < tokens * head_size; ++i) EXPECT_TRUE(std::isfinite(value_at(y, i, dtype())));
}

TEST_P(Transformer, gelu_is_the_formula) {
  const std::vector<float> special = {0.0f,  -0.0f,  1e-30f, -1e-30f, 13.0f, -13.0f,
                                      1e20f, -1e20f, -5.5f,  3e38f,   -3e38f};
  for (const std::int64_t size : {1, 11, 16, 1000}) {
    Values x = draw(size, dtype(), 9, 3);
    for (std::size_t i = 0; i < special.size() && i < x.exact.size(); ++i) {
      const std::uint32_t bits = bits_from_float(special[i], dtype());
      std::memcpy(x.bytes.data() + i * size_of(dtype()), &bits, size_of(dtype()));
      x.exact[i] = float_from_bits(bits, dtype());
    }
    kernels().gelu(x.bytes.data(), dtype(), size);
    for (std::size_t i = 0; i < x.exact.size(); ++i) {
      const double expected = 0.5 * x.exact[i] * std::erfc(-x.exact[i] / std::sqrt(2.0));
      const double bound = dtype() == DType::fp32 ? 3e-7 : 4e-3;
      EXPECT_NEAR(value_at(x.bytes, static_cast<std::int64_t>(i), dtype()), expected,
                  bound * std::max(1.0, std::fabs(expected)))
          << x.exact[i];
    }
  }
}

TEST_P(Transformer, gelu_keeps_nan_and_infinity) {
  const auto gelu = [&](float value) {
    std::byte x[4];
    std::uint32_t bits = bits_from_float(value, dtype());
    std::memcpy(x, &bits, size_of(dtype()));
    kernels().gelu(x, dtype(), 1);
    bits = 0;
    std::memcpy(&bits, x, size_of(dtype()));
    return float_from_bits(bits, dtype());
  };
  constexpr float infinity = std::numeric_limits<float>::infinity();
  EXPECT_TRUE(std::isnan(gelu(std::numeric_limits<float>::quiet_NaN())));
  EXPECT_EQ(gelu(infinity), infinity);
  EXPECT_NEAR(gelu(-infinity), 0.0f, 1e-30f);
}

TEST_P(Transformer, accumulate_adds) {
  for (const std::int64_t size : {1, 15, 256, 300}) {
    const Values x = draw(size, dtype(), 5);
    std::vector<float> sum(static_cast<std::size_t>(size), 1.0f);
    kernels().accumulate(sum.data(), x.bytes.data(), dtype(), size);
    for (std::size_t i = 0; i < sum.size(); ++i) EXPECT_FLOAT_EQ(sum[i], static_cast<float>(1 + x.exact[i]));
  }
}

INSTANTIATE_TEST_SUITE_P(All, Transformer,
                         ::testing::Combine(::testing::Values(Isa::scalar, Isa::avx2, Isa::avx512),
                                            ::testing::Values(DType::fp32, DType::bf16)),
                         [](const auto& row) {
                           return std::string(name_of(std::get<0>(row.param))) + "_" +
                                  std::string(name_of(std::get<1>(row.param)));
                         });

}  // namespace
}  // namespace cross::kernels
