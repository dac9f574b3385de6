// Intra-batch balance: hand-made panels, then the contract on random ones.
#include "compiler/balance/units.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <random>
#include <vector>

#include "cross/error.h"

namespace cross::compiler {
namespace {

UnitBlock dense(double price) { return {Band::dense, price, not_available}; }
UnitBlock sparse(double price) { return {Band::sparse, 10 * price, price}; }
UnitBlock swing(double on_dense, double on_sparse) { return {Band::swing, on_dense, on_sparse}; }

TEST(BalanceUnits, SwingBlocksFillTheWaitingUnit) {
  // All cheaper on the sparse unit: the start would be max(0, 40); two of four move.
  const auto result = balance_units(std::vector{swing(11, 10), swing(11, 10), swing(11, 10), swing(11, 10)});
  EXPECT_EQ(result.start_finish, 40.0);
  EXPECT_EQ(result.finish, 22.0);
  EXPECT_EQ(result.dense_load, 22.0);
  EXPECT_EQ(result.sparse_load, 20.0);
  EXPECT_EQ(result.moved, 2);
  EXPECT_FALSE(result.all_dense_start);
}

TEST(BalanceUnits, BandsBind) {
  // The dense unit is idle, but sparse blocks stay where their band puts them.
  const auto result = balance_units(std::vector{sparse(5), sparse(5), swing(4, 3)});
  EXPECT_EQ(result.units, (std::vector{Unit::sparse, Unit::sparse, Unit::dense}));
  EXPECT_EQ(result.finish, 10.0);
  EXPECT_EQ(result.all_dense, 104.0);
}

TEST(BalanceUnits, SwapsWhereNoSingleMoveHelps) {
  const std::vector blocks{dense(1), swing(6, 6), swing(4, 4), sparse(3)};
  const auto result = balance_units(blocks);
  EXPECT_EQ(result.finish, 7.0);
}

TEST(BalanceUnits, OneUnitTakesTheCheaperPrice) {
  const UnitModel cpu{.two_units = false};
  const auto result =
      balance_units(std::vector{dense(7), sparse(2), swing(4, 5), swing(5, 4), swing(3, 3)}, cpu);
  EXPECT_EQ(result.units, (std::vector{Unit::dense, Unit::sparse, Unit::dense, Unit::sparse, Unit::dense}));
  EXPECT_EQ(result.finish, 7.0 + 2 + 4 + 4 + 3);
  EXPECT_EQ(result.moved, 0);
}

TEST(BalanceUnits, OverlapThatSlowsBothIsGivenUp) {
  // Together both would need 3 times their load: better one after the other, on the dense unit alone.
  const UnitModel model{.dense_slowdown = 3.0, .sparse_slowdown = 3.0};
  const auto result = balance_units(std::vector{dense(10), UnitBlock{Band::sparse, 5.5, 5.0}}, model);
  EXPECT_TRUE(result.all_dense_start);
  EXPECT_EQ(result.finish, 15.5);
  EXPECT_EQ(result.units, (std::vector{Unit::dense, Unit::dense}));
  EXPECT_EQ(result.moved, 1);
}

TEST(BalanceUnits, EmptyPanel) {
  const auto result = balance_units({});
  EXPECT_EQ(result.finish, 0.0);
  EXPECT_TRUE(result.units.empty());
}

TEST(BalanceUnits, FinishTime) {
  EXPECT_EQ(finish_time(3, 5, {}), 5.0);
  EXPECT_EQ(finish_time(5, 3, {}), 5.0);
  EXPECT_EQ(finish_time(5, 3, {.two_units = false}), 8.0);
  // The dense list ends at 3·2 = 6; by then the sparse one did 6 / 1.5 = 4 of its 10.
  EXPECT_EQ(finish_time(3, 10, {true, 2.0, 1.5}), 12.0);
  EXPECT_EQ(finish_time(10, 0, {true, 2.0, 1.5}), 10.0) << "alone nothing is slower";
}

TEST(BalanceUnits, RefusesWhatCannotBe) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  EXPECT_THROW(balance_units(std::vector{dense(-1)}), InternalError);
  EXPECT_THROW(balance_units(std::vector{swing(1, nan)}), InternalError);
  EXPECT_THROW(balance_units(std::vector{swing(1, not_available)}), InternalError);
  EXPECT_THROW(balance_units(std::vector{dense(not_available)}), InternalError);
  EXPECT_THROW(balance_units(std::vector{dense(1)}, {true, 0.5, 1.0}), InternalError);
}

std::vector<UnitBlock> random_panel(std::mt19937_64& random) {
  std::vector<UnitBlock> blocks(std::uniform_int_distribution<std::size_t>(0, 24)(random));
  std::uniform_real_distribution<double> price(1.0, 20.0), ratio(0.4, 1.8);
  for (UnitBlock& block : blocks) {
    block.dense_price = price(random);
    const double r = ratio(random);
    block.sparse_price = block.dense_price * r;
    block.band = r > 1.2 ? Band::dense : r < 0.8 ? Band::sparse : Band::swing;
  }
  return blocks;
}

double finish_of(std::span<const UnitBlock> blocks, std::span<const Unit> units, const UnitModel& model) {
  double on_dense = 0.0, on_sparse = 0.0;
  for (std::size_t b = 0; b < blocks.size(); ++b) {
    (units[b] == Unit::dense ? on_dense : on_sparse) +=
        units[b] == Unit::dense ? blocks[b].dense_price : blocks[b].sparse_price;
  }
  return finish_time(on_dense, on_sparse, model);
}

TEST(BalanceUnits, KeepsItsContractOnRandomPanels) {
  std::mt19937_64 random(11);
  std::uniform_real_distribution<double> slowdown(1.0, 4.0);
  int fallbacks = 0;
  for (int round = 0; round < 600; ++round) {
    const auto blocks = random_panel(random);
    UnitModel model;
    if (round % 3 == 1) model = {true, slowdown(random), slowdown(random)};
    if (round % 3 == 2) model.two_units = false;
    const auto result = balance_units(blocks, model);
    const double limit = result.finish * (1 - 1e-9);

    EXPECT_DOUBLE_EQ(result.finish, finish_of(blocks, result.units, model));
    EXPECT_LE(result.finish, result.start_finish);
    EXPECT_LE(result.finish, result.all_dense);
    fallbacks += result.all_dense_start;
    auto units = result.units;
    for (std::size_t b = 0; b < blocks.size(); ++b) {
      if (blocks[b].band == Band::dense) {
        EXPECT_EQ(units[b], Unit::dense);
      }
      if (blocks[b].band == Band::sparse && !result.all_dense_start) {
        EXPECT_EQ(units[b], Unit::sparse);
      }
      if (blocks[b].band != Band::swing) continue;
      const Unit was = units[b];
      units[b] = was == Unit::dense ? Unit::sparse : Unit::dense;
      EXPECT_GE(finish_of(blocks, units, model), limit) << "a single further move helps";
      units[b] = was;
    }
    EXPECT_EQ(balance_units(blocks, model).units, result.units) << "not deterministic";
  }
  EXPECT_GT(fallbacks, 0) << "the random panels never tried the all-dense start";
}

TEST(BalanceUnits, IsCloseToTheBestAssignment) {
  std::mt19937_64 random(13);
  double worst = 1.0;
  for (int round = 0; round < 100; ++round) {
    auto blocks = random_panel(random);
    blocks.resize(std::min<std::size_t>(blocks.size(), 12));
    const auto result = balance_units(blocks);
    std::vector<std::size_t> swing_blocks;
    for (std::size_t b = 0; b < blocks.size(); ++b) {
      if (blocks[b].band == Band::swing) swing_blocks.push_back(b);
    }
    double best = result.finish;
    for (std::uint32_t mask = 0; mask < (1u << swing_blocks.size()); ++mask) {
      auto units = result.units;
      for (std::size_t i = 0; i < swing_blocks.size(); ++i) {
        units[swing_blocks[i]] = (mask >> i & 1u) ? Unit::sparse : Unit::dense;
      }
      best = std::min(best, finish_of(blocks, units, {}));
    }
    if (best > 0) worst = std::max(worst, result.finish / best);
  }
  EXPECT_LT(worst, 1.15);
}

}  // namespace
}  // namespace cross::compiler
