// The dense libraries against float64: they are the fallback of every plan and the baseline of every
// benchmark.
#include "kernels/dense/dense_product.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "cross/error.h"
#include "support/sparse_matrix.h"

namespace cross::kernels {
namespace {

using cross::testing::Array;
using cross::testing::exact_product;
using cross::testing::mismatch;
using cross::testing::Product;
using cross::testing::random_array;
using cross::testing::Values;

const float* floats(const Array& array) { return reinterpret_cast<const float*>(array.bytes().data()); }

class EveryLibrary : public ::testing::TestWithParam<DenseLibrary> {};

TEST_P(EveryLibrary, multiplies) {
  for (const DType dtype : {DType::fp32, DType::bf16})
    for (const int tokens : {1, 3, 8, 33})
      for (const auto& [rows, cols] : {std::pair{1, 1}, {5, 3}, {33, 129}, {96, 257}})
        for (const bool with_bias : {false, true})
          for (const int threads : {1, 2}) {
            SCOPED_TRACE(::testing::Message()
                         << name_of(dtype) << " " << rows << "x" << cols << ", " << tokens << " tokens, bias "
                         << with_bias << ", threads " << threads);
            const Array w = random_array(1, dtype, rows, cols, 0.6, Values::ordinary);
            const Array x = random_array(2, dtype, tokens, cols, 1.0, Values::ordinary);
            const Array bias = random_array(3, DType::fp32, 1, rows, 1.0, Values::ordinary);
            const auto product = make_dense_product(GetParam(), {.dtype = dtype,
                                                                 .rows = rows,
                                                                 .cols = cols,
                                                                 .tokens = tokens,
                                                                 .threads = threads,
                                                                 .weights = w.bytes().data(),
                                                                 .bias = with_bias ? floats(bias) : nullptr});
            ASSERT_NE(product, nullptr);
            EXPECT_GE(product->packed().size(), w.bytes().size());
            // y may hold anything before: a library that scales it by zero would keep the NaN.
            Array y(dtype, tokens, rows);
            for (std::int64_t t = 0; t < tokens; ++t)
              for (std::int64_t r = 0; r < rows; ++r) y.set(t, r, std::numeric_limits<float>::quiet_NaN());
            for (int again = 0; again < 2; ++again) product->run(x.bytes().data(), y.bytes().data());
            const Product exact = exact_product(w, x);
            for (std::int64_t t = 0; t < tokens; ++t)
              for (std::int64_t r = 0; r < rows; ++r) {
                const std::size_t at = exact.index(t, r);
                const double expected =
                    exact.value[at] + (with_bias ? static_cast<double>(bias.at(0, r)) : 0.0);
                const double rounding = dtype == DType::fp32 ? 0x1p-22 : 0x1p-8;
                const double tolerance = exact.tolerance[at] * 2 + rounding * (std::abs(expected) + 0.01);
                ASSERT_EQ(mismatch(expected, tolerance, y.at(t, r)), "") << t << ", " << r;
              }
          }
}

TEST_P(EveryLibrary, makes_up_weights_for_timing) {
  for (const DType dtype : {DType::fp32, DType::bf16}) {
    const auto product =
        make_dense_product(GetParam(), {.dtype = dtype, .rows = 40, .cols = 70, .tokens = 5, .threads = 1});
    const Array x = random_array(2, dtype, 5, 70, 1.0, Values::ordinary);
    Array y(dtype, 5, 40);
    product->run(x.bytes().data(), y.bytes().data());
    for (std::int64_t r = 0; r < 40; ++r) EXPECT_TRUE(std::isfinite(y.at(4, r)));
  }
}

TEST_P(EveryLibrary, has_a_name) { EXPECT_EQ(dense_library_from_name(name_of(GetParam())), GetParam()); }

INSTANTIATE_TEST_SUITE_P(Build, EveryLibrary, ::testing::ValuesIn(dense_libraries()),
                         [](const auto& library) { return std::string(name_of(library.param)); });

TEST(DenseLibraries, at_least_one_is_there) {
  EXPECT_FALSE(dense_libraries().empty());
  EXPECT_EQ(dense_library_from_name("mkl"), std::nullopt);
  EXPECT_THROW(make_dense_product(dense_libraries().front(),
                                  {.dtype = DType::fp16, .rows = 1, .cols = 1, .tokens = 1}),
               InternalError);
}

}  // namespace
}  // namespace cross::kernels
