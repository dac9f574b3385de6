// Which weights go: hand-made matrices, then properties over patterns, dtypes and odd shapes.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "cross/error.h"
#include "cross/prune.h"
#include "prune/weights.h"
#include "refusal.h"

namespace cross {
namespace {

using testing::random_weights;
using testing::Weights;

PruneOptions options_for(const char* pattern, std::optional<double> sparsity = std::nullopt) {
  PruneOptions options;
  options.pattern = parse_pattern(pattern);
  options.sparsity = sparsity;
  return options;
}

std::vector<float> pruned(Weights weights, const PruneOptions& options) {
  prune_matrix(weights.view(), weights.bytes(), options);
  return weights.values();
}

std::int64_t zeros(const Weights& weights) {
  std::int64_t count = 0;
  const MatrixView w = weights.view();
  for (std::int64_t i = 0; i < w.elements(); ++i) count += w.bits(0, i) == 0;
  return count;
}

TEST(PruneMatrix, SmallestMagnitudesGo) {
  EXPECT_EQ(pruned(Weights(2, 3, {5, -1, 3, -4, 2, 6}), options_for("unstructured", 0.5)),
            (std::vector<float>{5, 0, 0, -4, 0, 6}));
}

TEST(PruneMatrix, FirstOfEqualMagnitudesGoes) {
  EXPECT_EQ(pruned(Weights(1, 4, {1, -1, 1, -1}), options_for("unstructured", 0.5)),
            (std::vector<float>{0, 0, 1, -1}));
}

TEST(PruneMatrix, CountsZerosThatAreThere) {
  EXPECT_EQ(pruned(Weights(1, 6, {0, 4, 0, 2, 3, 1}), options_for("unstructured", 0.5)),
            (std::vector<float>{0, 4, 0, 2, 3, 0}));
  EXPECT_EQ(pruned(Weights(1, 4, {0, 0, 0, 1}), options_for("unstructured", 0.5)),
            (std::vector<float>{0, 0, 0, 1}))
      << "sparser than asked: left alone";
}

TEST(PruneMatrix, TargetIsRounded) {
  std::vector<float> values(10);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i + 1);
  for (const auto& [sparsity, expected] :
       {std::pair{0.0, 0}, {0.04, 0}, {0.05, 1}, {0.34, 3}, {0.35, 4}, {0.99, 10}}) {
    Weights weights(2, 5, values);
    prune_matrix(weights.view(), weights.bytes(), options_for("unstructured", sparsity));
    EXPECT_EQ(zeros(weights), expected) << sparsity;
  }
}

TEST(PruneMatrix, NegativeZeroGoesFirstAndOnlyIfSelected) {
  const Weights weights(1, 4, {-0.0f, 1, 2, 3});
  EXPECT_TRUE(std::signbit(pruned(weights, options_for("unstructured", 0.0))[0]));
  EXPECT_FALSE(std::signbit(pruned(weights, options_for("unstructured", 0.25))[0]));
  EXPECT_FALSE(std::signbit(pruned(weights, options_for("3:4"))[0]));
}

TEST(PruneMatrix, InfinityIsTheLargestMagnitude) {
  const float inf = std::numeric_limits<float>::infinity();
  EXPECT_EQ(pruned(Weights(1, 4, {-inf, 3e38f, inf, 1}), options_for("2:4")),
            (std::vector<float>{-inf, 0, inf, 0}));
}

TEST(PruneMatrix, KeepPerGroup) {
  EXPECT_EQ(pruned(Weights(1, 8, {1, 4, -3, 2, 9, 8, 7, -6}), options_for("2:4")),
            (std::vector<float>{0, 4, -3, 0, 9, 8, 0, 0}));
  EXPECT_EQ(pruned(Weights(1, 8, {1, 4, -3, 2, 9, 8, 7, -6}), options_for("1:8")),
            (std::vector<float>{0, 0, 0, 0, 9, 0, 0, 0}));
  EXPECT_EQ(pruned(Weights(1, 4, {1, 1, 1, 1}), options_for("2:4", 0.5)), (std::vector<float>{0, 0, 1, 1}));
  EXPECT_EQ(pruned(Weights(1, 4, {0, 5, 0, 0}), options_for("2:4")), (std::vector<float>{0, 5, 0, 0}));
}

TEST(PruneMatrix, AShortLastGroupKeepsUpToKeep) {
  EXPECT_EQ(pruned(Weights(2, 6, {1, 2, 3, 4, 5, 6, 6, 5, 4, 3, 2, 1}), options_for("2:4")),
            (std::vector<float>{0, 0, 3, 4, 5, 6, 6, 5, 0, 0, 2, 1}));
  EXPECT_EQ(pruned(Weights(1, 3, {3, 1, 2}), options_for("2:8")), (std::vector<float>{3, 0, 2}));
}

TEST(PruneMatrix, BlocksGoWhole) {
  EXPECT_EQ(pruned(Weights(2, 4,
                           {1, 9, 2, 2,  //
                            1, 1, 2, 2}),
                   options_for("block:2x2", 0.5)),
            (std::vector<float>{1, 9, 0, 0,  //
                                1, 1, 0, 0}));
}

TEST(PruneMatrix, NormDecides) {
  // Means of |w|: 3 against 3.5; root mean squares: 5.2 against 3.5.
  const Weights weights(1, 6, {9, 0, 0, 3.5f, 3.5f, 3.5f});
  EXPECT_EQ(pruned(weights, options_for("block:1x3:l1", 0.5)),
            (std::vector<float>{0, 0, 0, 3.5f, 3.5f, 3.5f}));
  EXPECT_EQ(pruned(weights, options_for("block:1x3:l2", 0.5)), (std::vector<float>{9, 0, 0, 0, 0, 0}));
}

TEST(PruneMatrix, EdgeBlocksRankByTheirMean) {
  // Sums: 4, 4 and, in the narrow last block, 2 of one element.
  EXPECT_EQ(pruned(Weights(1, 9, {1, 1, 1, 1, 1, 1, 1, 1.1f, 2}), options_for("block:1x4", 0.34)),
            (std::vector<float>{0, 0, 0, 0, 1, 1, 1, 1.1f, 2}));
}

TEST(PruneMatrix, Rows) {
  EXPECT_EQ(pruned(Weights(3, 2, {1, 1, 0.5f, 0.5f, 2, 2}), options_for("row", 0.34)),
            (std::vector<float>{1, 1, 0, 0, 2, 2}));
}

TEST(PruneMatrix, WritesBesideTheInputToo) {
  const Weights weights(1, 4, {4, 1, 3, 2}, DType::bf16);
  Weights out(1, 4, {9, 9, 9, 9}, DType::bf16);
  const PrunedLayer layer = prune_matrix(weights.view(), out.bytes(), options_for("2:4"), "w");
  EXPECT_EQ(out.values(), (std::vector<float>{4, 0, 3, 0}));
  EXPECT_EQ(weights.values(), (std::vector<float>{4, 1, 3, 2}));
  EXPECT_EQ(layer.name, "w");
  EXPECT_EQ(layer.sparsity_before(), 0.0);
  EXPECT_EQ(layer.sparsity_after(), 0.5);
}

TEST(PruneMatrix, MatricesWithoutElements) {
  for (const char* pattern : {"unstructured", "row", "block:4x4", "2:4"}) {
    for (const auto& [rows, cols] : {std::pair{0, 0}, {0, 4}, {4, 0}}) {
      Weights weights(rows, cols, {});
      const PruneOptions options = pattern[0] == '2' ? options_for(pattern) : options_for(pattern, 0.5);
      EXPECT_EQ(prune_matrix(weights.view(), weights.bytes(), options).sparsity_after(), 0.0);
    }
  }
}

const std::pair<const char*, std::optional<double>> every_pattern[] = {
    {"unstructured", 0.0}, {"unstructured", 0.37}, {"unstructured", 0.9},  {"2:4", std::nullopt},
    {"3:8", std::nullopt}, {"5:16", 0.6875},       {"9:32", std::nullopt}, {"block:4x4", 0.6},
    {"block:3x5:l2", 0.3}, {"block:1x8", 0.5},     {"row", 0.25},          {"row:l2", 0.8}};

TEST(PruneMatrixProperties, HoldForEveryPattern) {
  std::mt19937_64 random(5);
  const std::pair<int, int> shapes[] = {{1, 1}, {1, 33}, {17, 1}, {7, 13}, {16, 32}, {31, 70}};
  for (const auto& [pattern, sparsity] : every_pattern) {
    for (const auto& [rows, cols] : shapes) {
      for (const DType dtype : {DType::fp32, DType::fp16, DType::bf16}) {
        SCOPED_TRACE(::testing::Message() << pattern << " " << rows << "x" << cols << " " << name_of(dtype));
        const PruneOptions options = options_for(pattern, sparsity);
        const Weights weights = random_weights(random, rows, cols, dtype);
        Weights once = weights;
        const PrunedLayer layer = prune_matrix(once.view(), once.bytes(), options);
        EXPECT_EQ(layer.zeros_before, zeros(weights));
        EXPECT_EQ(layer.zeros_after, zeros(once));

        Weights twice = once;
        prune_matrix(twice.view(), twice.bytes(), options);
        EXPECT_EQ(twice.stored(), once.stored()) << "pruning again changed something";

        float kept_least = std::numeric_limits<float>::infinity(), pruned_most = 0.0f;
        for (std::int64_t i = 0; i < weights.view().elements(); ++i) {
          if (once.view().bits(0, i) != 0) {
            EXPECT_EQ(once.view().bits(0, i), weights.view().bits(0, i)) << "a kept value changed";
            kept_least = std::min(kept_least, std::abs(weights.view().value(0, i)));
          } else {
            pruned_most = std::max(pruned_most, std::abs(weights.view().value(0, i)));
          }
        }
        if (options.pattern.kind == PatternKind::unstructured) {
          const auto target = std::llround(*sparsity * static_cast<double>(rows * cols));
          EXPECT_EQ(zeros(once), std::max<std::int64_t>(target, zeros(weights)));
          EXPECT_LE(pruned_most, kept_least);
        }
        if (options.pattern.kind == PatternKind::n_m) {
          for (std::int64_t r = 0; r < rows; ++r) {
            for (std::int64_t first = 0; first < cols; first += options.pattern.group) {
              int kept = 0;
              for (std::int64_t c = first; c < std::min<std::int64_t>(cols, first + options.pattern.group);
                   ++c) {
                kept += once.view().bits(r, c) != 0;
              }
              EXPECT_LE(kept, options.pattern.keep);
            }
          }
        }
      }
    }
  }
}

TEST(PruneMatrixMistakes, NanHasNoMagnitude) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (const auto& [pattern, sparsity] : every_pattern) {
    for (const DType dtype : {DType::fp32, DType::fp16, DType::bf16}) {
      Weights weights(2, 3, {1, 2, 3, 4, -nan, 6}, dtype);
      testing::expect_refused<InputError>(
          [&, p = pattern, s = sparsity] {
            prune_matrix(weights.view(), weights.bytes(), options_for(p, s), "layer.3.weight");
          },
          {"layer.3.weight", "row 1, column 1", "NaN"});
    }
  }
}

TEST(PruneMatrixMistakes, OptionsThatCannotMeanAnything) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const std::tuple<const char*, std::optional<double>, const char*> table[] = {
      {"unstructured", std::nullopt, "needs a sparsity"},
      {"row", std::nullopt, "needs a sparsity"},
      {"unstructured", 70.0, "for 70 % write 0.7"},
      {"unstructured", 1.0, "below 1"},
      {"unstructured", 100.0, "below 1"},
      {"unstructured", -0.1, "at least 0"},
      {"unstructured", nan, "at least 0"},
      {"2:4", 0.7, "contradicts the pattern 2:4, which prunes 0.5"},
      {"2:4", nan, "contradicts"},
  };
  for (const auto& [pattern, sparsity, why] : table) {
    Weights weights(1, 4, {1, 2, 3, 4});
    testing::expect_refused<UsageError>(
        [&, p = pattern, s = sparsity] { prune_matrix(weights.view(), weights.bytes(), options_for(p, s)); },
        {why});
  }
  Weights weights(1, 4, {1, 2, 3, 4});
  PruneOptions global = options_for("2:4");
  global.scope = PruneScope::global;
  testing::expect_refused<UsageError>([&] { prune_matrix(weights.view(), weights.bytes(), global); },
                                      {"2:4", "layer scope"});
  PruneOptions by_hand;
  by_hand.pattern = {.kind = PatternKind::n_m, .keep = 2, .group = 5};
  testing::expect_refused<UsageError>([&] { prune_matrix(weights.view(), weights.bytes(), by_hand); },
                                      {"2:5"});
}

}  // namespace
}  // namespace cross
