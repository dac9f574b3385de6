#include "cross/dtype.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

namespace cross {
namespace {

/// binary16 by its definition.
double fp16_by_definition(std::uint16_t half) {
  const int exponent = (half >> 10) & 0x1f;
  const int mantissa = half & 0x3ff;
  const double magnitude = exponent == 0x1f ? (mantissa == 0 ? INFINITY : NAN)
                           : exponent == 0  ? std::ldexp(mantissa, -24)
                                            : std::ldexp(1024 + mantissa, exponent - 25);
  return (half & 0x8000) != 0 ? -magnitude : magnitude;
}

TEST(Fp16, widens_every_value_exactly) {
  for (std::uint32_t h = 0; h < 0x10000; ++h) {
    const auto half = static_cast<std::uint16_t>(h);
    const double expected = fp16_by_definition(half);
    const float value = float_from_fp16(half);
    if (std::isnan(expected)) {
      EXPECT_TRUE(std::isnan(value)) << h;
    } else {
      EXPECT_EQ(value, expected) << h;
      EXPECT_EQ(std::signbit(value), (half & 0x8000) != 0) << h;
    }
  }
}

TEST(Fp16, every_value_survives_the_round_trip) {
  for (std::uint32_t h = 0; h < 0x10000; ++h) {
    const auto half = static_cast<std::uint16_t>(h);
    const std::uint16_t back = fp16_from_float(float_from_fp16(half));
    if (std::isnan(fp16_by_definition(half))) {
      EXPECT_TRUE(std::isnan(float_from_fp16(back))) << h;
    } else {
      EXPECT_EQ(back, half);
    }
  }
}

/// Halfway points and their neighbours between every two neighbouring finite halves decide all roundings.
TEST(Fp16, rounds_to_nearest_even) {
  for (std::uint32_t h = 0; h < 0x7bff; ++h) {
    const auto low = static_cast<std::uint16_t>(h);
    const auto high = static_cast<std::uint16_t>(h + 1);
    const auto middle = static_cast<float>((fp16_by_definition(low) + fp16_by_definition(high)) / 2);
    EXPECT_EQ(fp16_from_float(middle), h % 2 == 0 ? low : high) << h;
    EXPECT_EQ(fp16_from_float(std::nextafter(middle, 0.0f)), low) << h;
    EXPECT_EQ(fp16_from_float(std::nextafter(middle, INFINITY)), high) << h;
    EXPECT_EQ(fp16_from_float(-middle), 0x8000 | (h % 2 == 0 ? low : high)) << h;
  }
}

TEST(Fp16, overflows_to_infinity_halfway_above_the_largest) {
  EXPECT_EQ(fp16_from_float(65519.99f), 0x7bff);
  EXPECT_EQ(fp16_from_float(65520.0f), 0x7c00);
  EXPECT_EQ(fp16_from_float(-std::numeric_limits<float>::max()), 0xfc00);
}

TEST(Bf16, every_value_survives_the_round_trip) {
  for (std::uint32_t h = 0; h < 0x10000; ++h) {
    const float value = float_from_bf16(static_cast<std::uint16_t>(h));
    if (std::isnan(value)) {
      EXPECT_TRUE(std::isnan(float_from_bf16(bf16_from_float(value)))) << h;
    } else {
      EXPECT_EQ(bf16_from_float(value), h);
    }
  }
}

TEST(Bf16, rounds_to_nearest_even) {
  EXPECT_EQ(bf16_from_float(std::bit_cast<float>(0x3f808000u)), 0x3f80);
  EXPECT_EQ(bf16_from_float(std::bit_cast<float>(0x3f818000u)), 0x3f82);
  EXPECT_EQ(bf16_from_float(std::bit_cast<float>(0x3f808001u)), 0x3f81);
  EXPECT_EQ(bf16_from_float(std::numeric_limits<float>::max()), 0x7f80);
  EXPECT_TRUE(std::isnan(float_from_bf16(bf16_from_float(std::bit_cast<float>(0x7f800001u)))));
}

}  // namespace
}  // namespace cross
