// y = activation(acc + bias) + residual: the scalar epilogue against float64, the vector one against the
// scalar.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>

#include "kernels/cpu/activation_math.h"
#include "kernels/cpu/activations.h"
#include "kernels/run_kernel.h"
#include "support/guarded_buffer.h"

namespace cross::kernels::testing {
namespace {

using cross::testing::GuardedBuffer;
using cross::testing::random_array;

constexpr float infinity = std::numeric_limits<float>::infinity();
const float nan = std::numeric_limits<float>::quiet_NaN();

/// A store of rows × tokens results into a y with two more columns and tokens than needed.
struct Case {
  int rows = 1;
  int tokens = 1;
  Activation activation = Activation::none;
  bool bias = false;
  bool residual = false;
  bool row_map = false;
  bool along_rows = false;  ///< accumulators of a dot kernel: row_stride 1
  DType dtype = DType::fp32;
};

std::vector<float> stored(const EpilogueFunction epilogue, const Case& c, const std::vector<float>& values) {
  const int width = (c.tokens + 7) / 8 * 8;
  const std::int64_t y_stride = c.rows + 2;
  GuardedBuffer acc(static_cast<std::size_t>(c.along_rows ? c.rows * c.tokens : c.rows * width) * 4);
  const std::int64_t row_stride = c.along_rows ? 1 : width;
  const std::int64_t token_stride = c.along_rows ? c.rows : 1;
  for (int r = 0; r < c.rows; ++r)
    for (int t = 0; t < c.tokens; ++t)
      acc.floats()[r * row_stride + t * token_stride] =
          values[static_cast<std::size_t>(r * c.tokens + t) % values.size()];
  const Array bias = random_array(2, DType::fp32, 1, c.rows, 1.0, Values::ordinary);
  const Array residual = random_array(3, c.dtype, c.tokens, y_stride, 1.0, Values::ordinary);
  std::vector<std::int32_t> map(static_cast<std::size_t>(c.rows));
  for (int r = 0; r < c.rows; ++r) map[static_cast<std::size_t>(r)] = 1 + (r * 5 + 3) % c.rows;
  if (c.rows % 5 == 0) std::iota(map.rbegin(), map.rend(), 1);  // 5 would not give a permutation
  GuardedBuffer y(static_cast<std::size_t>(c.tokens * y_stride) * size_of(c.dtype));
  Array result(c.dtype, c.tokens, y_stride);
  for (std::int64_t t = 0; t < c.tokens; ++t)
    for (std::int64_t r = 0; r < y_stride; ++r) result.set(t, r, 768.0f);
  std::memcpy(y.data(), result.bytes().data(), result.bytes().size());

  epilogue({.acc = acc.floats(),
            .row_stride = row_stride,
            .token_stride = token_stride,
            .rows = c.rows,
            .tokens = c.tokens,
            .activation = c.activation,
            .bias = c.bias ? reinterpret_cast<const float*>(bias.bytes().data()) : nullptr,
            .residual = c.residual ? residual.bytes().data() : nullptr,
            .y = y.data(),
            .y_stride = y_stride,
            .y_dtype = c.dtype,
            .first_row = 1,
            .row_map = c.row_map ? map.data() : nullptr});

  std::memcpy(result.bytes().data(), y.data(), result.bytes().size());
  std::vector<float> out;
  for (std::int64_t t = 0; t < c.tokens; ++t) {
    EXPECT_EQ(result.at(t, 0), 768.0f) << "wrote before its rows";
    EXPECT_EQ(result.at(t, y_stride - 1), 768.0f) << "wrote behind its rows";
    for (std::int64_t r = 0; r < y_stride; ++r) out.push_back(result.at(t, r));
  }
  return out;
}

/// Two roundings of the activation's own arithmetic, and one of bf16.
void expect_same(const std::vector<float>& a, const std::vector<float>& b, DType dtype) {
  ASSERT_EQ(a.size(), b.size());
  const float relative = dtype == DType::fp32 ? 4e-6f : 0x1p-7f;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (std::isnan(a[i]) || std::isinf(a[i])) {
      ASSERT_TRUE(std::isnan(a[i]) ? std::isnan(b[i]) : a[i] == b[i]) << a[i] << " and " << b[i];
    } else {
      ASSERT_NEAR(a[i], b[i], relative * (std::abs(a[i]) + 0.5f)) << "at " << i;
    }
  }
}

double by_definition(Activation activation, double x) {
  switch (activation) {
    case Activation::none:
      return x;
    case Activation::relu:
      return std::isnan(x) ? x : std::max(x, 0.0);
    case Activation::gelu:
      return 0.5 * x * (1 + std::erf(x / std::sqrt(2.0)));
    case Activation::gelu_tanh:
      return 0.5 * x * (1 + std::tanh(std::sqrt(2 / std::acos(-1.0)) * (x + 0.044715 * x * x * x)));
    case Activation::silu:
      return x / (1 + std::exp(-x));
  }
  return x;
}

TEST(Activations, are_what_their_names_say) {
  for (const Activation activation : all_activations)
    for (float x = -30.0f; x <= 30.0f; x += 0.37f) {
      const double exact = by_definition(activation, static_cast<double>(x));
      EXPECT_NEAR(apply_activation(activation, x), exact, 4e-7 * (std::abs(static_cast<double>(x)) + 1))
          << name_of(activation) << " of " << x;
    }
}

std::vector<const ActivationKernels*> implementations() {
  if (active_isa() == Isa::scalar) return {&scalar_activations};
  return {&scalar_activations, &avx2_activations};
}

TEST(Epilogue, stores_where_and_what_it_should) {
  for (const ActivationKernels* kernels : implementations()) {
    // Two rows (W's rows 2 and 1), two tokens.
    const Case c{.rows = 2, .tokens = 2, .activation = Activation::relu, .row_map = true};
    const std::vector<float> y = stored(kernels->epilogue, c, {1, 2, -3, 4});
    EXPECT_EQ(y, (std::vector<float>{768, -0.0f, 1, 768, 768, 4, 2, 768}));
  }
}

TEST(Epilogue, of_every_implementation_is_the_same) {
  const Array random = random_array(9, DType::fp32, 1, 977, 1.0, Values::ordinary);
  std::vector<float> values;
  for (std::int64_t i = 0; i < random.cols(); ++i) values.push_back(8 * random.at(0, i));
  for (const ActivationKernels* kernels : implementations())
    for (const int rows : {1, 2, 3, 7, 8, 9, 16, 33})
      for (const int tokens : {1, 2, 7, 8, 9, 17, 64})
        for (const Activation activation : all_activations)
          for (int flags = 0; flags < 32; ++flags) {
            const Case c{.rows = rows,
                         .tokens = tokens,
                         .activation = activation,
                         .bias = (flags & 1) != 0,
                         .residual = (flags & 2) != 0,
                         .row_map = (flags & 4) != 0,
                         .along_rows = (flags & 8) != 0,
                         .dtype = (flags & 16) != 0 ? DType::bf16 : DType::fp32};
            SCOPED_TRACE(::testing::Message() << rows << " rows, " << tokens << " tokens, "
                                              << name_of(activation) << ", flags " << flags);
            expect_same(stored(scalar_activations.epilogue, c, values), stored(kernels->epilogue, c, values),
                        c.dtype);
            if (HasFatalFailure()) return;
          }
}

TEST(Epilogue, passes_nan_and_infinity_on) {
  const std::vector<float> values = {nan,   infinity, -infinity, 0.0f,   -0.0f,
                                     1e38f, -1e38f,   0x1p-149f, 100.0f, -100.0f};
  for (const ActivationKernels* kernels : implementations())
    for (const Activation activation : all_activations)
      for (const DType dtype : {DType::fp32, DType::bf16}) {
        const Case c{.rows = 10, .tokens = 3, .activation = activation, .dtype = dtype};
        const std::vector<float> y = stored(kernels->epilogue, c, values);
        expect_same(stored(scalar_activations.epilogue, c, values), y, dtype);
        // Value i stands at row i / 3, token i % 3; a y row begins with one canary.
        EXPECT_TRUE(std::isnan(y[1])) << name_of(activation) << " hides a NaN";
        EXPECT_EQ(y[1 * 12 + 1], infinity) << name_of(activation);
        if (activation == Activation::none) {
          EXPECT_EQ(y[2 * 12 + 1], -infinity);
        }
        if (activation == Activation::relu) {
          EXPECT_EQ(y[2 * 12 + 1], 0.0f);
        }
      }
}

TEST(Epilogue, rounds_bf16_to_nearest_even) {
  // Just below, at and just above the middle between two bf16 neighbours; overflow to infinity; NaN stays
  // NaN.
  const std::vector<float> values = {std::bit_cast<float>(0x3f807fffu), std::bit_cast<float>(0x3f808000u),
                                     std::bit_cast<float>(0x3f808001u), std::bit_cast<float>(0x3f818000u),
                                     std::bit_cast<float>(0x7f7fffffu), std::bit_cast<float>(0x7f800001u),
                                     std::bit_cast<float>(0xff7f7fffu), std::bit_cast<float>(0x00008000u)};
  for (const ActivationKernels* kernels : implementations()) {
    const Case c{.rows = 8, .tokens = 1, .dtype = DType::bf16};
    const std::vector<float> y = stored(kernels->epilogue, c, values);
    for (std::size_t i = 0; i < values.size(); ++i) {
      const float expected = float_from_bf16(bf16_from_float(values[i]));
      EXPECT_EQ(std::bit_cast<std::uint32_t>(y[1 + i]), std::bit_cast<std::uint32_t>(expected)) << i;
    }
  }
}

}  // namespace
}  // namespace cross::kernels::testing
