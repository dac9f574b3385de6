#include "report/chart.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "report/made_report.h"
#include "report/well_formed.h"

namespace cross::report {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

std::vector<std::string> labels_of(const Axis& axis) {
  std::vector<std::string> labels;
  for (const Tick& tick : axis.ticks) labels.push_back(tick.label);
  return labels;
}

std::string plain(double value) {
  std::string text = std::to_string(value);
  text.erase(text.find_last_not_of('0') + 1);
  if (text.back() == '.') text.pop_back();
  return text;
}

TEST(Axis, LogarithmicTicksEncloseTheData) {
  EXPECT_THAT(labels_of(logarithmic_axis("x", 0.3, 7, plain)),
              ElementsAre("0.2", "0.5", "1", "2", "5", "10"));
  EXPECT_THAT(labels_of(logarithmic_axis("x", 1, 10, plain)), ElementsAre("1", "2", "5", "10"));
  EXPECT_THAT(labels_of(logarithmic_axis("x", 3, 3, plain)), ElementsAre("2", "5"));
}

TEST(Axis, Percent) {
  EXPECT_THAT(labels_of(percent_axis("x", 0.5, 0.8)), ElementsAre("50 %", "60 %", "70 %", "80 %"));
}

Chart two_curves() {
  Chart chart{
      "a <title>", percent_axis("sparsity", 0, 1), logarithmic_axis("speed-up", 0.5, 10, plain), 1, {}, {}};
  chart.series.push_back({"ours & theirs", 0, Mark::curve, {{0, 1, ""}, {0.5, 2, ""}, {1, 10, ""}}});
  chart.series.push_back({cross::testing::evil_name, 1, Mark::dots, {{0.5, 100, cross::testing::evil_name}}});
  return chart;
}

TEST(Chart, InAPage) {
  const std::string svg = draw(two_curves()).str();
  EXPECT_EQ(cross::testing::ill_formed(svg), "");
  // The ends of the first curve are corners of the plot: (0, 1) up to (1, 10).
  EXPECT_THAT(svg, HasSubstr("points=\"64.0,222.2 248.0,164.3 432.0,30.0 \""));
  EXPECT_THAT(svg, HasSubstr("aria-label=\"a &lt;title&gt;;"));
  // What lies beyond an axis stands at its edge, and text from outside stays text.
  EXPECT_THAT(svg, HasSubstr("cy=\"30.0\""));
  EXPECT_THAT(svg, Not(HasSubstr("<script")));
}

TEST(Chart, AsAFile) {
  const std::string svg = chart_file({two_curves(), two_curves()}, "Speed-up");
  EXPECT_EQ(cross::testing::ill_formed(svg), "");
  EXPECT_THAT(svg, HasSubstr("xmlns=\"http://www.w3.org/2000/svg\""));
  EXPECT_THAT(svg, HasSubstr("prefers-color-scheme:dark"));
  EXPECT_THAT(svg, HasSubstr("width=\"920\""));
}

}  // namespace
}  // namespace cross::report
