#include "plot.h"

#include <gtest/gtest.h>

namespace cross_bench {
namespace {

std::size_t count(const std::string& text, const std::string& part) {
  std::size_t found = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++found;
  return found;
}

TEST(Plot, HasEveryCurveAndSpan) {
  const Panel panel{
      "fp32, N = 256",
      {{"ours", 0, false, {{0.5, 1.0}, {0.9, 4.0}}}, {"theirs", 1, true, {{0.5, 0.4}, {0.9, 1.6}}}},
      {{"dense", 0.5, 0.6, 0}, {"sparse", 0.6, 0.9, 2}}};
  const std::string svg = svg_of({panel, panel}, "a title");
  EXPECT_TRUE(svg.starts_with("<svg"));
  EXPECT_TRUE(svg.ends_with("</svg>\n"));
  EXPECT_EQ(count(svg, "<polyline"), 8u);  // with the legend's
  EXPECT_EQ(count(svg, "class=\"shade\""), 4u);
  EXPECT_EQ(count(svg, ">dense</text>"), 2u);
  EXPECT_EQ(count(svg, "a title"), 2u);  // one is for screen readers
}

TEST(Plot, FasterIsHigher) {
  const auto first_y = [](double value) {
    // A slow curve beside it, so that the axis is the same every time.
    const std::string svg = svg_of(
        {{"", {{"", 0, false, {{0.5, value}, {0.6, value}}}, {"", 1, false, {{0.5, 0.1}, {0.6, 0.1}}}}}}, "");
    const std::size_t at = svg.find("points=\"") + 8;
    return std::stod(svg.substr(svg.find(',', at) + 1));
  };
  EXPECT_LT(first_y(2), first_y(1));
  EXPECT_LT(first_y(1), first_y(0.5));
  EXPECT_EQ(first_y(1000), first_y(10)) << "values beyond the axis stay on it";
}

TEST(Plot, EmptySpansHaveNoName) {
  const std::string svg =
      svg_of({{"", {{"", 0, false, {{0.5, 1}, {0.9, 1}}}}, {{"swing", 0.7, 0.7, 3}}}}, "");
  EXPECT_EQ(count(svg, "swing"), 0u);
}

}  // namespace
}  // namespace cross_bench
