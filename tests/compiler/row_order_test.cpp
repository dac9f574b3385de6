#include "compiler/reorder/row_order.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <random>
#include <vector>

#include "cross/error.h"

namespace cross::compiler {
namespace {

using Counts = std::vector<std::int64_t>;

RowCounts of(const Counts& nnz, std::int64_t cols) { return {nnz, cols, {}}; }

TEST(RowOrder, SortsDensestFirstAndKeepsEqualRowsInOrder) {
  const Counts nnz{3, 9, 3, 0, 9};
  const auto order = order_rows(of(nnz, 10), 2, RowOrderPolicy::by_density);
  EXPECT_EQ(order.permutation, (Counts{1, 4, 0, 2, 3}));
  EXPECT_EQ(order.chosen, RowOrderPolicy::by_density);
}

TEST(RowOrder, NaturalIsTheIdentity) {
  const Counts nnz{3, 9, 3};
  EXPECT_EQ(order_rows(of(nnz, 10), 2, RowOrderPolicy::natural).permutation, (Counts{0, 1, 2}));
}

TEST(RowOrder, AutomaticSortsRowsThatTrulyDiffer) {
  Counts nnz;  // alternately 90 % and 10 % dense: sorting makes every panel uniform
  for (int r = 0; r < 64; ++r) nnz.push_back(r % 2 == 0 ? 900 : 100);
  const auto order = order_rows(of(nnz, 1000), 8);
  EXPECT_EQ(order.chosen, RowOrderPolicy::by_density);
  EXPECT_DOUBLE_EQ(order.spread_natural, 0.4);
  EXPECT_NEAR(order.spread_sorted, 0.0, 1e-12);
  EXPECT_NE(order.reason.find("sorted by density"), std::string::npos) << order.reason;
}

TEST(RowOrder, AutomaticIgnoresChance) {
  std::mt19937_64 random(1);
  Counts nnz(512);
  for (auto& count : nnz) count = std::binomial_distribution<std::int64_t>(768, 0.3)(random);
  const auto order = order_rows(of(nnz, 768), 16);
  EXPECT_EQ(order.chosen, RowOrderPolicy::natural) << order.reason;
  EXPECT_NE(order.reason.find("by chance only"), std::string::npos);
}

TEST(RowOrder, AutomaticLeavesRowsThatStandWellAlready) {
  Counts nnz;  // uniform panels as stored
  for (int r = 0; r < 64; ++r) nnz.push_back(r < 32 ? 900 : 100);
  EXPECT_EQ(order_rows(of(nnz, 1000), 8).chosen, RowOrderPolicy::natural);
}

TEST(RowOrder, OnePanelGainsNothing) {
  const Counts nnz{900, 100, 900, 100};
  const auto order = order_rows(of(nnz, 1000), 64);
  EXPECT_EQ(order.chosen, RowOrderPolicy::natural);
  EXPECT_NE(order.reason.find("too little"), std::string::npos) << order.reason;
}

TEST(RowOrder, SignaturesJoinAlikeRows) {
  const Counts nnz{500, 501, 499, 500, 100};
  const std::vector<std::uint64_t> signatures{7, 1, 7, 1, 0};
  const auto order = order_rows({nnz, 1000, signatures}, 2, RowOrderPolicy::by_density);
  EXPECT_EQ(order.permutation.back(), 4) << "density comes first";
  EXPECT_EQ(signatures[static_cast<std::size_t>(order.permutation[0])],
            signatures[static_cast<std::size_t>(order.permutation[1])]);
}

TEST(RowOrder, IsAlwaysAPermutation) {
  std::mt19937_64 random(2);
  for (int round = 0; round < 100; ++round) {
    Counts nnz(std::uniform_int_distribution<std::size_t>(0, 70)(random));
    for (auto& count : nnz) count = std::uniform_int_distribution<std::int64_t>(0, 50)(random);
    const auto panel = std::uniform_int_distribution<std::int64_t>(1, 80)(random);
    for (const auto policy :
         {RowOrderPolicy::natural, RowOrderPolicy::by_density, RowOrderPolicy::automatic}) {
      auto sorted = order_rows(of(nnz, 50), panel, policy).permutation;
      std::sort(sorted.begin(), sorted.end());
      Counts expected(nnz.size());
      std::iota(expected.begin(), expected.end(), 0);
      EXPECT_EQ(sorted, expected);
    }
  }
}

TEST(RowOrder, WorksWithoutRowsOrColumns) {
  EXPECT_TRUE(order_rows({}, 8).permutation.empty());
  const Counts nnz{0, 0};
  EXPECT_EQ(order_rows(of(nnz, 0), 8).chosen, RowOrderPolicy::natural);
}

TEST(RowOrder, RefusesWhatCannotBe) {
  const Counts nnz{5};
  const std::vector<std::uint64_t> two{1, 2};
  EXPECT_THROW(order_rows(of(nnz, 10), 0), InternalError);
  EXPECT_THROW(order_rows(of(nnz, 4), 1), InternalError);
  EXPECT_THROW(order_rows({nnz, 10, two}, 1), InternalError);
}

}  // namespace
}  // namespace cross::compiler
