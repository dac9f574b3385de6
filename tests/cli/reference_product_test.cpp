// The check that every printed time and every verification rests on must pass what is right and catch what is
// not.
#include "driver/reference_product.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "cross/session.h"
#include "driver/measure.h"
#include "support/make_plan.h"

namespace cross::testing {
namespace {

constexpr std::int64_t tokens = 5;

/// A layer, its activations, and what Session makes of them.
struct Product {
  Plan plan;
  std::vector<std::byte> x, y;

  explicit Product(DType dtype, const PlanRecipe& recipe, std::int64_t rows = 70, std::int64_t cols = 200)
      : plan(make_plan(random_array(3, dtype, rows, cols, 0.3, Values::ordinary), recipe)),
        x(driver::make_activations(dtype, tokens, cols)),
        y(static_cast<std::size_t>(tokens * rows) * size_of(dtype)) {
    const auto executor = make_openmp_executor(2);
    Session session(plan, *executor);
    driver::AlignedBuffer workspace;
    RunArgs args;
    args.x = x.data();
    args.y = y.data();
    args.tokens = tokens;
    args.workspace = workspace.get(session.workspace_bytes(0, tokens));
    session.run(0, args);
  }
  driver::ProductCheck check(std::int64_t max_rows = 0) const {
    return driver::check_product(plan.layers[0], plan.dtype, x.data(), y.data(), tokens, max_rows);
  }
  float get(std::int64_t index) const {
    if (plan.dtype == DType::fp32) return reinterpret_cast<const float*>(y.data())[index];
    return float_from_bf16(reinterpret_cast<const std::uint16_t*>(y.data())[index]);
  }
  void set(std::int64_t index, float value) {
    if (plan.dtype == DType::fp32)
      reinterpret_cast<float*>(y.data())[index] = value;
    else
      reinterpret_cast<std::uint16_t*>(y.data())[index] = bf16_from_float(value);
  }
};

class ReferenceProduct : public ::testing::TestWithParam<DType> {};

TEST_P(ReferenceProduct, PassesEveryFormatAndFindsOneWrongElement) {
  for (const Format format :
       {Format::dense, Format::dense_panel, Format::bitmap, Format::index8, Format::block})
    for (const bool reorder : {false, true}) {
      if (format == Format::dense && reorder) continue;
      Product product(GetParam(),
                      {.formats = {format}, .reorder_rows = reorder, .bias = true, .tokens = tokens});
      const auto right = product.check();
      EXPECT_TRUE(right.passed) << name_of(format);
      EXPECT_LE(right.rel_error, right.tolerance) << name_of(format);
      EXPECT_EQ(right.rows_checked, 70);

      const std::int64_t index = 3 * 70 + 41;  // token 3, row 41
      const float value = product.get(index);
      product.set(index, value + 0.05f * (1 + std::abs(value)));
      const auto wrong = product.check();
      EXPECT_FALSE(wrong.passed) << name_of(format);
      EXPECT_EQ(wrong.worst_token, 3) << name_of(format);
      EXPECT_EQ(wrong.worst_row, 41) << name_of(format);
      EXPECT_NEAR(wrong.expected, static_cast<double>(value),
                  0.02 * (1 + std::abs(static_cast<double>(value))));
    }
}

TEST_P(ReferenceProduct, NotANumberIsWrong) {
  Product product(GetParam(), {.tokens = tokens});
  product.set(7, std::nanf(""));
  EXPECT_FALSE(product.check().passed);
  product.set(7, INFINITY);
  EXPECT_FALSE(product.check().passed);
}

TEST_P(ReferenceProduct, SamplesEveryPanel) {
  const Product product(GetParam(), {.panel_rows = 8, .tokens = tokens}, 1000, 130);
  const auto check = product.check(64);
  EXPECT_TRUE(check.passed);
  EXPECT_GE(check.rows_checked, 125);  // as many as there are panels
  EXPECT_LT(check.rows_checked, 260);
}

INSTANTIATE_TEST_SUITE_P(DTypes, ReferenceProduct, ::testing::Values(DType::fp32, DType::bf16),
                         [](const auto& dtype) { return std::string(name_of(dtype.param)); });

}  // namespace
}  // namespace cross::testing
