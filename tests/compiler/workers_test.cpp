// Inter-batch balance: three policies on hand-made costs, then their promises on random ones.
#include "compiler/balance/workers.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <map>
#include <numeric>
#include <random>
#include <tuple>
#include <vector>

#include "cross/error.h"

namespace cross::compiler {
namespace {

constexpr WorkerPolicy every_policy[] = {WorkerPolicy::same, WorkerPolicy::paired,
                                         WorkerPolicy::longest_first};

WorkerOptions with(WorkerPolicy policy, int max_k_parts = 1) { return {policy, max_k_parts, 0.0}; }

struct Case {
  const char* what;
  std::int64_t items;
  int workers;
  std::vector<double> costs;
  double same, paired, longest_first;  // expected imbalance
};

TEST(BalanceWorkers, Imbalance) {
  const Case table[] = {
      {"uniform", 2, 2, {5, 5}, 1.0, 1.0, 1.0},
      {"heavy and light, two items", 2, 2, {9, 1}, 1.8, 1.0, 1.0},
      {"heavy and light, one item", 1, 2, {9, 1}, 1.8, 1.8, 1.8},
      {"heavy and light, three items", 3, 2, {9, 1}, 1.8, 19.0 / 15, 1.2},
      {"sorted, as many as workers", 2, 4, {4, 3, 2, 1}, 1.6, 1.0, 1.0},
      {"fewer panels than workers", 2, 4, {6}, 4.0, 2.0, 2.0},
      {"heavy panel in the middle", 2, 3, {1, 10, 1}, 2.5, 2.5, 1.25},
      {"no cost at all", 3, 2, {0, 0}, 1.0, 1.0, 1.0},
      {"no panels", 3, 2, {}, 1.0, 1.0, 1.0},
      {"no items", 0, 2, {3, 4}, 1.0, 1.0, 1.0},
  };
  for (const Case& row : table) {
    EXPECT_DOUBLE_EQ(balance_workers(row.items, row.workers, row.costs, with(WorkerPolicy::same)).imbalance,
                     row.same)
        << row.what;
    EXPECT_DOUBLE_EQ(balance_workers(row.items, row.workers, row.costs, with(WorkerPolicy::paired)).imbalance,
                     row.paired)
        << row.what;
    EXPECT_DOUBLE_EQ(
        balance_workers(row.items, row.workers, row.costs, with(WorkerPolicy::longest_first)).imbalance,
        row.longest_first)
        << row.what;
  }
}

TEST(BalanceWorkers, PairedUsesOppositeOrders) {
  const auto result = balance_workers(2, 2, std::vector{9.0, 1.0}, with(WorkerPolicy::paired));
  EXPECT_EQ(result.pieces[0], (std::vector<WorkPiece>{{0, 0, 0, 1, 9}, {1, 1, 0, 1, 1}}));
  EXPECT_EQ(result.pieces[1], (std::vector<WorkPiece>{{0, 1, 0, 1, 1}, {1, 0, 0, 1, 9}}));
}

TEST(BalanceWorkers, SplitsPanelsAboveTheFairShare) {
  // Total 16 over 4 workers: the fair share is 4, so the panel of 12 becomes 3 parts.
  const auto result =
      balance_workers(1, 4, std::vector{12.0, 2.0, 2.0}, with(WorkerPolicy::longest_first, 8));
  EXPECT_DOUBLE_EQ(result.imbalance, 1.0);
  int parts = 0;
  for (const auto& pieces : result.pieces) {
    for (const WorkPiece& piece : pieces) {
      if (piece.panel != 0) continue;
      EXPECT_EQ(piece.k_parts, 3);
      EXPECT_EQ(piece.cost, 4.0);
      ++parts;
    }
  }
  EXPECT_EQ(parts, 3);
}

TEST(BalanceWorkers, SplittingIsBoundedAndPaidFor) {
  const WorkerOptions options{WorkerPolicy::longest_first, 2, 1.0};
  const auto result = balance_workers(1, 4, std::vector{12.0}, options);
  EXPECT_EQ(std::accumulate(result.loads.begin(), result.loads.end(), 0.0), 14.0);
  EXPECT_EQ(*std::max_element(result.loads.begin(), result.loads.end()), 7.0);
}

TEST(BalanceWorkers, FreePanelsSpreadOverTheWorkers) {
  const auto result = balance_workers(1, 3, std::vector(9, 0.0), with(WorkerPolicy::longest_first));
  for (const auto& pieces : result.pieces) EXPECT_EQ(pieces.size(), 3u);
}

TEST(BalanceWorkers, RefusesWhatCannotBe) {
  const double inf = std::numeric_limits<double>::infinity();
  EXPECT_THROW(balance_workers(1, 0, {}), InternalError);
  EXPECT_THROW(balance_workers(-1, 1, {}), InternalError);
  EXPECT_THROW(balance_workers(1, 1, std::vector{-1.0}), InternalError);
  EXPECT_THROW(balance_workers(1, 1, std::vector{inf}), InternalError);
  EXPECT_THROW(balance_workers(1, 1, {}, with(WorkerPolicy::longest_first, 0)), InternalError);
}

TEST(BalanceWorkers, EveryPieceOccursOnceAndInOrder) {
  std::mt19937_64 random(3);
  for (int round = 0; round < 200; ++round) {
    const std::int64_t items = std::uniform_int_distribution(0, 5)(random);
    const int workers = std::uniform_int_distribution(1, 9)(random);
    std::vector<double> costs(std::uniform_int_distribution<std::size_t>(0, 30)(random));
    for (double& cost : costs) cost = std::exponential_distribution<double>(0.1)(random);
    for (const WorkerPolicy policy : every_policy) {
      const auto result = balance_workers(items, workers, costs, with(policy, 4));
      ASSERT_EQ(std::ssize(result.pieces), workers);
      std::map<std::pair<std::int64_t, std::int64_t>, std::vector<int>> seen;
      for (std::size_t w = 0; w < result.pieces.size(); ++w) {
        double load = 0.0;
        for (std::size_t i = 0; i < result.pieces[w].size(); ++i) {
          const WorkPiece& piece = result.pieces[w][i];
          auto& parts = seen[{piece.item, piece.panel}];
          parts.resize(static_cast<std::size_t>(piece.k_parts));
          ++parts.at(static_cast<std::size_t>(piece.k_part));
          load += piece.cost;
          if (i == 0) continue;
          const WorkPiece& before = result.pieces[w][i - 1];
          EXPECT_LT(std::tie(before.item, before.panel, before.k_part),
                    std::tie(piece.item, piece.panel, piece.k_part));
        }
        EXPECT_DOUBLE_EQ(load, result.loads[w]);
      }
      EXPECT_EQ(std::ssize(seen), items * std::ssize(costs));
      for (const auto& [where, parts] : seen) {
        EXPECT_TRUE(std::all_of(parts.begin(), parts.end(), [](int count) { return count == 1; }));
      }
      EXPECT_GE(result.imbalance, 1.0 - 1e-12);
    }
  }
}

/// Smallest possible largest load, by trying every assignment.
double best_makespan(const std::vector<double>& costs, std::vector<double>& loads, std::size_t at) {
  if (at == costs.size()) return *std::max_element(loads.begin(), loads.end());
  double best = std::numeric_limits<double>::infinity();
  for (double& load : loads) {
    load += costs[at];
    best = std::min(best, best_makespan(costs, loads, at + 1));
    load -= costs[at];
  }
  return best;
}

TEST(BalanceWorkers, LongestFirstKeepsGrahamsBound) {
  std::mt19937_64 random(5);
  for (int round = 0; round < 60; ++round) {
    const int workers = std::uniform_int_distribution(1, 3)(random);
    std::vector<double> costs(std::uniform_int_distribution<std::size_t>(1, 8)(random));
    for (double& cost : costs) cost = std::uniform_int_distribution(1, 20)(random);
    const auto result = balance_workers(1, workers, costs, with(WorkerPolicy::longest_first));
    std::vector<double> loads(static_cast<std::size_t>(workers), 0.0);
    const double best = best_makespan(costs, loads, 0);
    const double longest = *std::max_element(result.loads.begin(), result.loads.end());
    EXPECT_LE(longest, (4.0 / 3 - 1.0 / (3 * workers)) * best + 1e-9);
  }
}

TEST(BalanceWorkers, PairedNeverLosesToSameOnSortedPanels) {
  std::mt19937_64 random(9);
  for (int round = 0; round < 100; ++round) {
    std::vector<double> costs(std::uniform_int_distribution<std::size_t>(1, 40)(random));
    for (double& cost : costs) cost = std::uniform_real_distribution<double>(0.0, 9.0)(random);
    std::sort(costs.rbegin(), costs.rend());
    const int workers = std::uniform_int_distribution(1, 8)(random);
    const auto paired = balance_workers(4, workers, costs, with(WorkerPolicy::paired));
    const auto same = balance_workers(4, workers, costs, with(WorkerPolicy::same));
    EXPECT_LE(paired.imbalance, same.imbalance + 1e-12);
  }
}

}  // namespace
}  // namespace cross::compiler
