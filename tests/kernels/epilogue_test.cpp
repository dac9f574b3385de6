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
  bool acc_rows = false;    ///< rows of acc in another order
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
  std::vector<std::int32_t> acc_rows(map.size());
  std::transform(map.begin(), map.end(), acc_rows.begin(), [](std::int32_t row) { return row - 1; });
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
            .row_map = c.row_map ? map.data() : nullptr,
            .acc_rows = c.acc_rows ? acc_rows.data() : nullptr});

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
          for (int flags = 0; flags < 64; ++flags) {
            if ((flags & 12) != 0 && (flags & 32) != 0)
              continue;  // only where tokens are contiguous, and alone
            const Case c{.rows = rows,
                         .tokens = tokens,
                         .activation = activation,
                         .bias = (flags & 1) != 0,
                         .residual = (flags & 2) != 0,
                         .row_map = (flags & 4) != 0,
                         .acc_rows = (flags & 32) != 0,
                         .along_rows = (flags & 8) != 0,
                         .dtype = (flags & 16) != 0 ? DType::bf16 : DType::fp32};
            SCOPED_TRACE(::testing::Message() << rows << " rows, " << tokens << " tokens, "
                                              << name_of(activation) << ", flags " << flags);
            expect_same(stored(scalar_activations.epilogue, c, values), stored(kernels->epilogue, c, values),
                        c.dtype);
            if (HasFatalFailure()) return;
          }
}

/// Two panels packed into one x of the next product, the second in an order of its own.
std::pair<bool, std::vector<std::uint32_t>> packed(PackRowsFunction pack_rows, Arithmetic arithmetic,
                                                   int rows, int width, Activation activation, bool bias,
                                                   const std::vector<float>& values) {
  const Array biases = random_array(2, DType::fp32, 1, 2 * rows, 1.0, Values::ordinary);
  GuardedBuffer acc(static_cast<std::size_t>(rows * width) * 4);
  std::vector<std::int32_t> map(static_cast<std::size_t>(rows));
  std::iota(map.rbegin(), map.rend(), rows);
  const int elements = (2 * rows + columns_per_element(arithmetic) - 1) / columns_per_element(arithmetic);
  GuardedBuffer out(static_cast<std::size_t>(elements * width) * 4);
  std::memset(out.data(), 0, static_cast<std::size_t>(elements * width) * 4);
  bool finite = true;
  for (int panel = 0; panel < 2; ++panel) {
    for (int i = 0; i < rows * width; ++i)
      acc.floats()[i] = values[static_cast<std::size_t>(i + 31 * panel) % values.size()];
    finite &= pack_rows(
        {.acc = acc.floats(),
         .rows = rows,
         .width = width,
         .first_row = 0,
         .row_map = panel == 1 ? map.data() : nullptr,
         .activation = activation,
         .bias = bias ? reinterpret_cast<const float*>(biases.bytes().data()) + panel * rows : nullptr,
         .arithmetic = arithmetic,
         .out = out.data()});
  }
  std::vector<std::uint32_t> slots(static_cast<std::size_t>(elements * width));
  std::memcpy(slots.data(), out.data(), slots.size() * 4);
  return {finite, slots};
}

constexpr Arithmetic arithmetics[] = {Arithmetic::fp32, Arithmetic::bf16_widened, Arithmetic::bf16_pair};

TEST(PackRows, of_every_implementation_is_the_same) {
  const Array random = random_array(9, DType::fp32, 1, 977, 1.0, Values::ordinary);
  std::vector<float> values;
  for (std::int64_t i = 0; i < random.cols(); ++i) values.push_back(8 * random.at(0, i));
  const auto parts = [](std::uint32_t slot, Arithmetic arithmetic) {
    if (arithmetic != Arithmetic::bf16_pair) return std::vector{std::bit_cast<float>(slot)};
    return std::vector{float_from_bf16(static_cast<std::uint16_t>(slot)),
                       float_from_bf16(static_cast<std::uint16_t>(slot >> 16))};
  };
  for (const ActivationKernels* kernels : implementations())
    for (const Arithmetic arithmetic : arithmetics)
      for (const int rows : {1, 2, 7, 16, 33})
        for (const int width : {16, 48})
          for (const Activation activation : all_activations)
            for (const bool bias : {false, true}) {
              SCOPED_TRACE(::testing::Message() << rows << " rows, " << width << " tokens, "
                                                << name_of(activation) << ", bias " << bias);
              const auto a =
                  packed(scalar_activations.pack_rows, arithmetic, rows, width, activation, bias, values);
              const auto b = packed(kernels->pack_rows, arithmetic, rows, width, activation, bias, values);
              EXPECT_TRUE(a.first && b.first);
              const DType dtype = arithmetic == Arithmetic::fp32 ? DType::fp32 : DType::bf16;
              for (std::size_t i = 0; i < a.second.size(); ++i)
                expect_same(parts(a.second[i], arithmetic), parts(b.second[i], arithmetic), dtype);
              if (HasFatalFailure()) return;
            }
}

TEST(PackRows, stores_where_and_what_it_should) {
  // Rows 0 and 1 as they are, then rows 3 and 2: two pairs of columns.
  std::vector<float> values(64, 1.0f);
  for (const ActivationKernels* kernels : implementations()) {
    for (std::size_t i = 0; i < 16; ++i) values[i] = 2.0f;
    const auto [finite, slots] =
        packed(kernels->pack_rows, Arithmetic::bf16_pair, 2, 16, Activation::none, false, values);
    EXPECT_TRUE(finite);
    ASSERT_EQ(slots.size(), 32u);
    EXPECT_EQ(slots[0], 0x3f804000u);   // columns 0 and 1: 2 and 1
    EXPECT_EQ(slots[16], 0x3f803f80u);  // columns 2 and 3
  }
}

TEST(PackRows, tells_infinity_and_nan) {
  for (const ActivationKernels* kernels : implementations())
    for (const Arithmetic arithmetic : arithmetics)
      for (const float bad : {infinity, -infinity, nan, 3.4e38f}) {
        std::vector<float> values(977, 1.0f);
        values[5] = bad;
        // The largest fp32 values round to infinity in bf16.
        const bool finite = std::isfinite(bad) && arithmetic == Arithmetic::fp32;
        EXPECT_EQ(packed(kernels->pack_rows, arithmetic, 3, 16, Activation::none, false, values).first,
                  finite)
            << bad;
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
        // The formula of gelu gives NaN at −∞, where its limit is 0.
        std::vector<float> expected = stored(scalar_activations.epilogue, c, values);
        for (std::size_t i = 2; i < 30 && activation == Activation::gelu; i += values.size()) {
          const std::size_t at = i % 3 * 12 + 1 + i / 3;
          if (y[at] == 0.0f) expected[at] = 0.0f;
        }
        expect_same(expected, y, dtype);
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
