#include "gpu/sampled_product.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

#include "cross/error.h"
#include "driver/cuda/masked_bits.h"

namespace cross_bench {
namespace {

using cross::DType;

constexpr Shape shape{300, 64};
const std::vector<std::int64_t> token_counts = {5, 200};

/// Exact in every dtype: small integers.
struct Product {
  Weight weight;
  std::vector<std::int64_t> tokens = SampledProduct::sample_tokens(token_counts);
  std::vector<std::byte> x, y;

  explicit Product(DType dtype) : weight(iid_weight(dtype, shape, 0.3, 1)) {
    const auto store = [&](std::vector<std::byte>& out, float value) {
      const std::uint32_t bits = cross::bits_from_float(value, dtype);
      std::byte stored[4];
      std::memcpy(stored, &bits, sizeof stored);
      out.insert(out.end(), stored, stored + size_of(dtype));
    };
    for (const std::int64_t t : tokens) {
      for (std::int64_t c = 0; c < shape.cols; ++c) store(x, static_cast<float>((t + c) % 5 - 2));
      for (std::int64_t r = 0; r < shape.rows; ++r) {
        double sum = 0;
        for (std::int64_t c = 0; c < shape.cols; ++c)
          if (weight.view().bits(r, c) != 0)
            sum += static_cast<double>(weight.view().value(r, c)) * static_cast<double>((t + c) % 5 - 2);
        store(y, static_cast<float>(sum));
      }
    }
  }
};

class SampledProductTest : public testing::TestWithParam<DType> {};

TEST_P(SampledProductTest, TakesTheProduct) {
  const Product p(GetParam());
  const SampledProduct reference(p.weight, p.tokens, p.x);
  for (const std::int64_t count : token_counts) {
    const std::size_t rows = reference.tokens_below(count).size();
    const std::size_t bytes = rows * static_cast<std::size_t>(shape.rows) * size_of(GetParam());
    EXPECT_LT(reference.check(std::span(p.y).first(bytes), count, "it").relative, 0x1p-8);
  }
}

TEST_P(SampledProductTest, RefusesWhatIsNeverStored) {
  Product p(GetParam());
  std::fill(p.y.begin(), p.y.end(), std::byte{0xff});  // NaN
  const SampledProduct reference(p.weight, p.tokens, p.x);
  EXPECT_THROW(reference.check(p.y, 200, "it"), cross::VerificationError);
}

TEST_P(SampledProductTest, RefusesAnotherMask) {
  const Product p(GetParam());
  const SampledProduct other(iid_weight(GetParam(), shape, 0.3, 2), p.tokens, p.x);
  EXPECT_THROW(other.check(p.y, 200, "it"), cross::VerificationError);
}

INSTANTIATE_TEST_SUITE_P(DTypes, SampledProductTest, testing::Values(DType::fp32, DType::fp16, DType::bf16));

TEST(SampleTokens, HoldTheLastOfEveryCount) {
  const auto tokens = SampledProduct::sample_tokens({1, 100, 8192});
  EXPECT_TRUE(std::is_sorted(tokens.begin(), tokens.end()));
  for (const std::int64_t last : {0, 99, 8191})
    EXPECT_TRUE(std::binary_search(tokens.begin(), tokens.end(), last)) << last;
  EXPECT_LT(tokens.size(), 200u);
}

TEST(Masks, RegionsHaveTheMeanThatIsAsked) {
  for (const double sparsity : {0.6, 0.7, 0.8, 0.9})
    EXPECT_NEAR(1 - region_weight_of_mean(DType::bf16, {2048, 2048}, sparsity, 1).density(), sparsity, 0.03);
}

TEST(Masks, BlocksAreWholeOrEmpty) {
  const Weight weight = block_weight(DType::bf16, {256, 256}, 32, 0.3, 1);
  const cross::MatrixView view = weight.view();
  for (std::int64_t r = 0; r < 256; ++r)
    for (std::int64_t c = 0; c < 256; ++c)
      EXPECT_EQ(view.bits(r, c) == 0, view.bits(r / 32 * 32, c / 32 * 32) == 0) << r << " " << c;
}

}  // namespace
}  // namespace cross_bench
