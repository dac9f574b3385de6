#include <gtest/gtest.h>

#include <cstdint>
#include <random>
#include <vector>

#include "compiler/partition/partition.h"
#include "cross/error.h"

namespace cross::compiler {
namespace {

PanelPrices two_choices(std::vector<double> prices) {
  return {{dense_choice, 0}, std::ssize(prices) / 2, std::move(prices)};
}

TEST(MergeRegions, FreeSwitchesFollowTheCheaperPrice) {
  const auto result = merge_regions(two_choices({1, 5, 5, 2, 5, 3, 4, 9}), 0.0);
  const std::vector<Segment> expected{{0, 1, dense_choice, 1}, {1, 3, 0, 5}, {3, 4, dense_choice, 4}};
  EXPECT_EQ(result.segments, expected);
  EXPECT_EQ(result.price, 10.0);
}

TEST(MergeRegions, ALoneCheapBlockIsNotWorthTwoSwitches) {
  // One sparse block saves 2; two switches cost 3.
  const auto result = merge_regions(two_choices({10, 20, 10, 8, 10, 20}), 1.5);
  EXPECT_EQ(result.segments, (std::vector<Segment>{{0, 3, dense_choice, 30}}));
  EXPECT_EQ(result.price, 30.0);
}

TEST(MergeRegions, ALongCheapRunIs) {
  const auto result = merge_regions(two_choices({10, 20, 10, 8, 10, 8, 10, 20}), 1.5);
  EXPECT_EQ(result.segments.size(), 3u);
  EXPECT_EQ(result.price, 10 + 16 + 10 + 2 * 1.5);
}

TEST(MergeRegions, AtTheEdgeOneSwitchIsEnough) {
  const auto result = merge_regions(two_choices({10, 20, 10, 8}), 1.5);
  EXPECT_EQ(result.price, 19.5);
}

TEST(MergeRegions, EqualTotalsMeanFewerSegments) {
  const auto result = merge_regions(two_choices({5, 5, 5, 5, 5, 5}), 0.0);
  EXPECT_EQ(result.segments, (std::vector<Segment>{{0, 3, dense_choice, 15}}));
}

TEST(MergeRegions, SkipsBlocksWithoutNonzeros) {
  const PriceGrid grid{1, 3, 1, {10, 10, 10}, {20, 9, 20}, {100, 0, 100}};
  const auto cheap_switch = merge_regions(panel_prices(grid, 0), 1.0);
  const std::vector<Segment> expected{
      {0, 1, dense_choice, 10}, {1, 2, skip_choice, 0}, {2, 3, dense_choice, 10}};
  EXPECT_EQ(cheap_switch.segments, expected);
  const auto dear_switch = merge_regions(panel_prices(grid, 0), 6.0);
  EXPECT_EQ(dear_switch.segments, (std::vector<Segment>{{0, 3, dense_choice, 30}}));
}

TEST(MergeRegions, NeverChoosesAKernelThatCannotRun) {
  const auto result =
      merge_regions(two_choices({not_available, 9, 1, not_available, not_available, 9}), 100.0);
  ASSERT_EQ(result.segments.size(), 3u);
  EXPECT_EQ(result.price, 219.0);
}

TEST(MergeRegions, RefusesWhatCannotBe) {
  EXPECT_THROW(merge_regions(two_choices({not_available, not_available}), 1.0), InternalError);
  EXPECT_THROW(merge_regions(two_choices({1, 1}), -1.0), InternalError);
  EXPECT_THROW(merge_regions(two_choices({1, -1}), 1.0), InternalError);
  EXPECT_THROW(merge_regions(PanelPrices{{0}, 2, {1}}, 1.0), InternalError);
  EXPECT_THROW(merge_regions(PanelPrices{{}, 1, {}}, 1.0), InternalError);
  EXPECT_THROW(panel_prices(PriceGrid{1, 0, 0, {}, {}, {}}, 1), InternalError);
  EXPECT_TRUE(merge_regions(PanelPrices{{0}, 0, {}}, 1.0).segments.empty());
}

double price_of(const PanelPrices& panel, const std::vector<std::size_t>& chosen, double switch_cost) {
  double total = 0.0;
  for (std::size_t b = 0; b < chosen.size(); ++b) {
    total += panel.prices[b * panel.choices.size() + chosen[b]];
    if (b > 0 && chosen[b] != chosen[b - 1]) total += switch_cost;
  }
  return total;
}

double cheapest_by_trying_all(const PanelPrices& panel, double switch_cost) {
  const std::size_t choices = panel.choices.size();
  std::vector<std::size_t> chosen(static_cast<std::size_t>(panel.blocks), 0);
  double best = not_available;
  for (;;) {
    best = std::min(best, price_of(panel, chosen, switch_cost));
    std::size_t at = 0;
    while (at < chosen.size() && ++chosen[at] == choices) chosen[at++] = 0;
    if (at == chosen.size()) return best;
  }
}

TEST(MergeRegions, EqualsTryingEverything) {
  std::mt19937_64 random(7);
  for (int round = 0; round < 300; ++round) {
    PanelPrices panel;
    const int choices = std::uniform_int_distribution(1, 4)(random);
    for (int c = 0; c < choices; ++c) panel.choices.push_back(c);
    panel.blocks = std::uniform_int_distribution(1, 6)(random);
    // Whole numbers, so that ties occur and sums are exact.
    std::uniform_int_distribution price(0, 12);
    for (std::int64_t i = 0; i < panel.blocks * choices; ++i) panel.prices.push_back(price(random));
    const double switch_cost = std::uniform_int_distribution(0, 6)(random);
    const auto result = merge_regions(panel, switch_cost);
    EXPECT_EQ(result.price, cheapest_by_trying_all(panel, switch_cost));

    double total = switch_cost * static_cast<double>(result.segments.size() - 1);
    std::int64_t next = 0;
    for (const Segment& segment : result.segments) {
      EXPECT_EQ(segment.first, next);
      EXPECT_LT(segment.first, segment.end);
      next = segment.end;
      total += segment.price;
    }
    EXPECT_EQ(next, panel.blocks);
    EXPECT_EQ(total, result.price);
  }
}

}  // namespace
}  // namespace cross::compiler
