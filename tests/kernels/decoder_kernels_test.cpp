// The kernels of decoders, of every ISA that this CPU has, against plain loops in float64.
#include "kernels/transformer/decoder_kernels.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "kernels/transformer/transformer.h"
#include "kernels/transformer_values.h"

namespace cross::kernels {
namespace {

using testing::draw;
using testing::tolerance;
using testing::value_at;
using testing::Values;

class DecoderKernels : public testing::KernelsOfEveryIsa {
 protected:
  std::size_t bytes(std::int64_t count) const { return static_cast<std::size_t>(count) * size_of(dtype()); }
};

TEST_P(DecoderKernels, rms_norm_is_the_formula) {
  for (const std::int64_t size : {1, 2, 7, 16, 36, 511, 512, 513, 2048}) {
    const Values x = draw(size, dtype(), 3, 3), scale = draw(size, DType::fp32, 1);
    std::vector<std::byte> y = x.bytes;  // in place
    kernels().rms_norm({.x = y.data(),
                        .dtype = dtype(),
                        .size = size,
                        .scale = reinterpret_cast<const float*>(scale.bytes.data()),
                        .epsilon = 1e-5f,
                        .y = y.data()});
    double squares = 0;
    for (const double value : x.exact) squares += value * value / static_cast<double>(size);
    for (std::size_t i = 0; i < x.exact.size(); ++i) {
      const double expected = x.exact[i] / std::sqrt(squares + 1e-5f) * scale.exact[i];
      EXPECT_NEAR(value_at(y, static_cast<std::int64_t>(i), dtype()), expected,
                  tolerance(dtype()) * (1 + std::fabs(expected)))
          << size << ", " << i;
    }
  }
}

TEST_P(DecoderKernels, rotary_turns_pairs_of_dimensions) {
  constexpr std::int64_t heads = 3;
  for (const std::int64_t head_size : {4, 6, 64, 80, 130, 256}) {
    const Values x = draw(heads * head_size, dtype(), 5);
    std::vector<float> cosine, sine;
    for (std::int64_t i = 0; i < head_size / 2; ++i) {
      cosine.push_back(std::cos(static_cast<float>(i) * 0.7f));
      sine.push_back(std::sin(static_cast<float>(i) * 0.7f));
    }
    std::vector<std::byte> y = x.bytes;
    kernels().rotary({.x = y.data(),
                      .dtype = dtype(),
                      .heads = heads,
                      .head_size = head_size,
                      .cosine = cosine.data(),
                      .sine = sine.data()});
    const std::int64_t half = head_size / 2;
    for (std::int64_t i = 0; i < heads * head_size; ++i) {
      const std::int64_t d = i % head_size, pair = d % half;
      const double own = x.exact[static_cast<std::size_t>(i)];
      const double other = x.exact[static_cast<std::size_t>(d < half ? i + half : i - half)];
      const double turned = own * cosine[static_cast<std::size_t>(pair)] +
                            (d < half ? -other : other) * sine[static_cast<std::size_t>(pair)];
      EXPECT_NEAR(value_at(y, i, dtype()), turned, tolerance(dtype()) * 2) << head_size << ", " << i;
    }
  }
}

TEST_P(DecoderKernels, silu_multiply_is_the_formula) {
  const std::vector<float> special = {0.0f, -0.0f, 1e-30f, 20.0f, -20.0f, 100.0f, -100.0f, 1e30f, -1e30f};
  for (const std::int64_t size : {1, 11, 16, 256, 1000}) {
    Values gate = draw(size, dtype(), 9, 3);
    const Values up = draw(size, dtype(), 10);
    for (std::size_t i = 0; i < special.size() && i < gate.exact.size(); ++i) {
      const std::uint32_t bits = bits_from_float(special[i], dtype());
      std::memcpy(gate.bytes.data() + i * size_of(dtype()), &bits, size_of(dtype()));
      gate.exact[i] = float_from_bits(bits, dtype());
    }
    std::vector<std::byte> y(bytes(size));
    kernels().silu_multiply(gate.bytes.data(), up.bytes.data(), dtype(), size, y.data());
    for (std::size_t i = 0; i < gate.exact.size(); ++i) {
      const double expected = gate.exact[i] / (1 + std::exp(-gate.exact[i])) * up.exact[i];
      EXPECT_NEAR(value_at(y, static_cast<std::int64_t>(i), dtype()), expected,
                  tolerance(dtype()) * std::max(0.1, std::fabs(expected)))
          << gate.exact[i];
    }
  }
}

TEST_P(DecoderKernels, widen_is_exact) {
  for (const std::int64_t size : {1, 15, 16, 300}) {
    const Values x = draw(size, dtype(), 5);
    std::vector<float> y(static_cast<std::size_t>(size));
    kernels().widen(x.bytes.data(), dtype(), size, y.data());
    for (std::size_t i = 0; i < y.size(); ++i) EXPECT_EQ(y[i], static_cast<float>(x.exact[i]));
  }
}

/// Keys and values of `tokens` tokens, as plain rows and as the cache has them.
struct Cache {
  Values keys, values;
  std::vector<std::byte> blocks;
  std::int64_t stride = 0;
};

Cache make_cache(std::int64_t tokens, std::int64_t head_size, DType dtype, float scale) {
  Cache cache{draw(tokens * head_size, dtype, 21, scale), draw(tokens * head_size, dtype, 22), {}, 0};
  cache.stride = cache_block(head_size) + 3;  // another head's blocks lie between
  const std::int64_t count = (tokens + key_panel - 1) / key_panel;
  const std::size_t size = size_of(dtype);
  cache.blocks.resize(static_cast<std::size_t>(count * cache.stride) * size);
  const auto put = [&](std::int64_t at, const Values& from, std::int64_t i) {
    std::memcpy(cache.blocks.data() + static_cast<std::size_t>(at) * size,
                from.bytes.data() + static_cast<std::size_t>(i) * size, size);
  };
  for (std::int64_t t = 0; t < tokens; ++t)
    for (std::int64_t d = 0; d < head_size; ++d) {
      const std::int64_t block = t / key_panel * cache.stride, within = t % key_panel;
      put(block + d * key_panel + within, cache.keys, t * head_size + d);
      put(block + head_size * key_panel + within * padded_head(head_size) + d, cache.values,
          t * head_size + d);
    }
  return cache;
}

struct Case {
  std::int64_t head_size, group, first, tokens, window;
};

class CausalAttention : public DecoderKernels {
 protected:
  void expect_formula(const Case& c, float spread) const {
    const Cache cache = make_cache(c.first + c.tokens, c.head_size, dtype(), spread);
    const std::int64_t width = c.group * c.head_size, stride = width + 5, y_stride = width + 2;
    const Values q = draw(c.tokens * stride, dtype(), 23, spread);
    std::vector<std::byte> y(bytes(c.tokens * y_stride));
    std::vector<float> scratch(causal_attention_scratch(c.head_size));
    const float scale = 1.0f / std::sqrt(static_cast<float>(c.head_size));
    kernels().causal_attention({.q = q.bytes.data(),
                                .stride = stride,
                                .dtype = dtype(),
                                .tokens = c.tokens,
                                .group = c.group,
                                .head_size = c.head_size,
                                .first = c.first,
                                .window = c.window,
                                .cache = cache.blocks.data(),
                                .block_stride = cache.stride,
                                .scale = scale,
                                .y = y.data(),
                                .y_stride = y_stride,
                                .scratch = scratch.data()});
    for (std::int64_t t = 0; t < c.tokens; ++t)
      for (std::int64_t head = 0; head < c.group; ++head)
        expect_row(c, cache, &q.exact[static_cast<std::size_t>(t * stride + head * c.head_size)], scale, y,
                   t * y_stride + head * c.head_size, c.first + t);
  }

 private:
  void expect_row(const Case& c, const Cache& cache, const double* q, float scale,
                  const std::vector<std::byte>& y, std::int64_t at, std::int64_t position) const {
    const std::int64_t begin = c.window > 0 ? std::max<std::int64_t>(0, position - c.window + 1) : 0;
    std::vector<double> weight;
    double largest = -std::numeric_limits<double>::infinity(), sum = 0;
    for (std::int64_t u = begin; u <= position; ++u) {
      double score = 0;
      for (std::int64_t d = 0; d < c.head_size; ++d)
        score += q[d] * cache.keys.exact[static_cast<std::size_t>(u * c.head_size + d)] * scale;
      weight.push_back(score);
      largest = std::max(largest, score);
    }
    for (double& w : weight) sum += w = std::exp(w - largest);
    for (std::int64_t d = 0; d < c.head_size; ++d) {
      double expected = 0;
      for (std::size_t i = 0; i < weight.size(); ++i)
        expected += weight[i] / sum *
                    cache.values.exact[static_cast<std::size_t>(begin + static_cast<std::int64_t>(i)) *
                                           static_cast<std::size_t>(c.head_size) +
                                       static_cast<std::size_t>(d)];
      ASSERT_NEAR(value_at(y, at + d, dtype()), expected, tolerance(dtype()) * 4)
          << "head size " << c.head_size << ", group " << c.group << ", position " << position << ", window "
          << c.window << ", dimension " << d;
    }
  }
};

TEST_P(CausalAttention, is_the_formula) {
  for (const std::int64_t head_size : {6, 20, 64, 80})
    for (const std::int64_t group : {1, 3, 4, 7})
      for (const auto& [first, tokens] : std::vector<std::pair<std::int64_t, std::int64_t>>{
               {0, 1}, {0, 5}, {31, 1}, {32, 2}, {255, 3}, {256, 1}, {500, 40}})
        expect_formula({head_size, group, first, tokens, 0}, 1);
}

/// Windows that begin inside a block, with rows of one step that begin in different ones.
TEST_P(CausalAttention, attends_to_a_window) {
  for (const std::int64_t window : {1, 2, 31, 32, 33, 300})
    for (const std::int64_t group : {1, 4})
      for (const auto& [first, tokens] :
           std::vector<std::pair<std::int64_t, std::int64_t>>{{0, 40}, {290, 9}, {600, 1}})
        expect_formula({20, group, first, tokens, window}, 1);
}

TEST_P(CausalAttention, survives_large_scores) {
  // Scores in the thousands: e^score alone would overflow, and all weight goes to one token.
  if (dtype() == DType::fp32) expect_formula({8, 2, 300, 3, 0}, 40);
}

const auto all = ::testing::Combine(::testing::Values(Isa::scalar, Isa::avx2, Isa::avx512),
                                    ::testing::Values(DType::fp32, DType::bf16));
const auto name = [](const auto& row) {
  return std::string(name_of(std::get<0>(row.param))) + "_" + std::string(name_of(std::get<1>(row.param)));
};
INSTANTIATE_TEST_SUITE_P(All, DecoderKernels, all, name);
INSTANTIATE_TEST_SUITE_P(All, CausalAttention, all, name);

}  // namespace
}  // namespace cross::kernels
