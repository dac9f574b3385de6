#include "base/normal_source.h"

#include <gtest/gtest.h>

#include <cmath>

namespace cross::base {
namespace {

TEST(NormalSource, gives_the_same_values_everywhere) {
  NormalSource normal(0);
  EXPECT_EQ(normal.next(), -0x1.95fbb2p-2f);
  EXPECT_EQ(normal.next(), 0x1.3ea7eap-2f);
  EXPECT_EQ(normal.next(), -0x1.980d88p-1f);
  EXPECT_NE(NormalSource(1).next(), NormalSource(2).next());
}

TEST(NormalSource, has_the_moments_and_tails_of_a_standard_normal) {
  constexpr int count = 1'000'000;
  NormalSource normal(42);
  double sum = 0, squares = 0, cubes = 0, fourths = 0;
  int within_one = 0, beyond_three = 0;
  for (int i = 0; i < count; ++i) {
    const double x = normal.next();
    ASSERT_NE(x, 0.0);
    sum += x;
    squares += x * x;
    cubes += x * x * x;
    fourths += x * x * x * x;
    within_one += std::fabs(x) < 1;
    beyond_three += std::fabs(x) > 3;
  }
  // Five standard errors of each estimate.
  EXPECT_NEAR(sum / count, 0, 0.005);
  EXPECT_NEAR(squares / count, 1, 0.0071);
  EXPECT_NEAR(cubes / count, 0, 0.0194);
  EXPECT_NEAR(fourths / count, 3, 0.049);
  EXPECT_NEAR(within_one, 0.682689 * count, 2330);
  EXPECT_NEAR(beyond_three, 0.002700 * count, 260);
}

}  // namespace
}  // namespace cross::base
