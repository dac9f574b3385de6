// Bands as a table: prices in, expected decisions out.
#include "compiler/partition/partition.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "cross/error.h"

namespace cross::compiler {
namespace {

PriceGrid one_block(double dense, std::vector<double> sparse, std::int64_t nnz = 1) {
  const int candidates = static_cast<int>(sparse.size());
  return {1, 1, candidates, {dense}, std::move(sparse), {nnz}};
}

struct Case {
  std::string what;
  double dense;
  std::vector<double> sparse;
  double delta;
  Band band;
  int candidate;
};

class PartitionTable : public testing::TestWithParam<Case> {};

TEST_P(PartitionTable, GivesTheExpectedBand) {
  const Case& row = GetParam();
  const Partition result = partition(one_block(row.dense, row.sparse), row.delta);
  ASSERT_EQ(result.blocks.size(), 1u);
  EXPECT_EQ(result.blocks[0].band, row.band) << name_of(result.blocks[0].band);
  EXPECT_EQ(result.blocks[0].candidate, row.candidate);
  EXPECT_EQ(result.blocks[0].dense_price, row.dense);
  if (row.candidate >= 0) {
    EXPECT_EQ(result.blocks[0].sparse_price, row.sparse[static_cast<std::size_t>(row.candidate)]);
  }
}

constexpr double none = not_available;

INSTANTIATE_TEST_SUITE_P(
    Bands, PartitionTable,
    testing::Values(Case{"sparse_clearly_cheaper", 100, {50}, 0.1, Band::sparse, 0},
                    Case{"dense_clearly_cheaper", 100, {150}, 0.1, Band::dense, 0},
                    Case{"close_below", 100, {95}, 0.1, Band::swing, 0},
                    Case{"close_above", 100, {105}, 0.1, Band::swing, 0},
                    Case{"edges_belong_to_swing_below", 100, {75}, 0.25, Band::swing, 0},
                    Case{"edges_belong_to_swing_above", 100, {125}, 0.25, Band::swing, 0},
                    Case{"just_outside_below", 100, {74.9}, 0.25, Band::sparse, 0},
                    Case{"just_outside_above", 100, {125.1}, 0.25, Band::dense, 0},
                    Case{"no_width_tie_is_swing", 100, {100}, 0.0, Band::swing, 0},
                    Case{"cheapest_candidate_decides", 100, {120, 60, 80}, 0.1, Band::sparse, 1},
                    Case{"first_of_equal_candidates", 100, {60, 60}, 0.1, Band::sparse, 0},
                    Case{"unavailable_candidates_are_ignored", 100, {none, 60}, 0.1, Band::sparse, 1},
                    Case{"no_candidate_can_run", 100, {none, none}, 0.1, Band::dense, skip_choice},
                    Case{"no_candidates_at_all", 100, {}, 0.1, Band::dense, skip_choice},
                    Case{"dense_cannot_run", none, {1000}, 0.1, Band::sparse, 0},
                    Case{"both_free", 0, {0}, 0.1, Band::swing, 0},
                    Case{"dense_free", 0, {1}, 0.1, Band::dense, 0},
                    Case{"sparse_free", 1, {0}, 0.1, Band::sparse, 0}),
    [](const auto& row) { return row.param.what; });

TEST(Partition, EmptyBlocksAreFreeAndSparse) {
  const Partition result = partition(one_block(100, {500}, 0), 0.1);
  EXPECT_EQ(result.blocks[0].band, Band::sparse);
  EXPECT_TRUE(result.blocks[0].empty);
  EXPECT_EQ(result.blocks[0].sparse_price, 0.0);
  EXPECT_EQ(result.blocks[0].candidate, skip_choice);
  EXPECT_EQ(result.counts.sparse, 1);
  EXPECT_EQ(result.counts.empty, 1);
}

TEST(Partition, CountsEachBand) {
  PriceGrid grid{2, 3, 1, {10, 10, 10, 10, 10, 10}, {5, 10, 20, 20, 20, 1}, {1, 1, 1, 1, 1, 0}};
  const Partition result = partition(grid, 0.1);
  EXPECT_EQ(result.rows, 2);
  EXPECT_EQ(result.cols, 3);
  EXPECT_EQ(result.counts.sparse, 2);
  EXPECT_EQ(result.counts.swing, 1);
  EXPECT_EQ(result.counts.dense, 3);
  EXPECT_EQ(result.counts.empty, 1);
}

TEST(Partition, AGridWithoutBlocksIsFine) {
  EXPECT_TRUE(partition(PriceGrid{0, 7, 2, {}, {}, {}}, 0.1).blocks.empty());
}

TEST(Partition, RefusesAWidthOutsideItsRange) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  for (const double delta : {-0.1, 1.0, 2.0, nan}) {
    EXPECT_THROW(partition(one_block(1, {1}), delta), UsageError) << delta;
  }
}

TEST(Partition, RefusesMalformedGrids) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  EXPECT_THROW(partition(one_block(-1, {1}), 0.1), InternalError);
  EXPECT_THROW(partition(one_block(nan, {1}), 0.1), InternalError);
  EXPECT_THROW(partition(one_block(1, {nan}), 0.1), InternalError);
  EXPECT_THROW(partition(one_block(none, {none}), 0.1), InternalError);
  PriceGrid short_of_prices = one_block(1, {1});
  short_of_prices.cols = 2;
  EXPECT_THROW(partition(short_of_prices, 0.1), InternalError);
}

}  // namespace
}  // namespace cross::compiler
