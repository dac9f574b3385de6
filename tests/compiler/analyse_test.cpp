// What the analysis concludes, on matrices made to have one property each.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>

#include "compiler/masks.h"
#include "cross/analysis.h"
#include "cross/error.h"

namespace cross::compiler {
namespace {

std::int64_t bytes_of(const MatrixAnalysis& found, const std::string& name) {
  for (const FormatSize& size : found.sizes) {
    if (size.name == name) return size.bytes;
  }
  return -1;
}

const std::string& winner(const MatrixAnalysis& found) { return found.sizes[found.smallest].name; }

TEST(Analyse, NegativeZeroIsAKeptValue) {
  TestMatrix matrix(DType::fp32, 2, 2, [](auto, auto) { return false; });
  matrix.set(1, 0, 0x80000000u);
  const MatrixAnalysis found = analyse(matrix.view());
  EXPECT_EQ(found.nnz, 1);
  EXPECT_EQ(found.empty_rows, 1);
  EXPECT_EQ(found.empty_cols, 1);
  EXPECT_DOUBLE_EQ(found.sparsity(), 0.75);
}

TEST(Analyse, MatricesWithoutElements) {
  for (const auto& [rows, cols] : {std::pair{0, 0}, {0, 5}, {5, 0}}) {
    const MatrixAnalysis found = analyse({DType::fp32, rows, cols, nullptr});
    EXPECT_EQ(found.nnz, 0);
    EXPECT_EQ(found.density, 0.0);
    EXPECT_EQ(found.uniformity.verdict, Variation::uniform);
    EXPECT_EQ(found.row_nnz.size(), static_cast<std::size_t>(rows));
  }
  EXPECT_THROW(analyse({DType::fp32, -1, 4, nullptr}), InternalError);
}

TEST(Analyse, NothingKept) {
  const MatrixAnalysis found =
      analyse(TestMatrix(DType::bf16, 20, 40, [](auto, auto) { return false; }).view());
  EXPECT_EQ(found.empty_rows, 20);
  EXPECT_FALSE(found.n_m);
  EXPECT_FALSE(found.blocks);
  EXPECT_EQ(found.smallest_reason, "there are no nonzeros to store");
}

TEST(Analyse, BlockDensitiesAndHistogram) {
  // Left half full, right half empty.
  const MatrixAnalysis found =
      analyse(TestMatrix(DType::fp32, 64, 128, [](auto, auto c) { return c < 64; }).view());
  const BlockMap& map = found.maps[1];
  EXPECT_EQ(map.block, 64);
  EXPECT_EQ(map.rows * map.cols, 2);
  EXPECT_EQ(map.density(0, 0), 1.0);
  EXPECT_EQ(map.density(0, 1), 0.0);
  EXPECT_EQ(map.mean, 0.5);
  EXPECT_EQ(map.stddev, 0.5);
  EXPECT_EQ(map.histogram[0], 1);
  EXPECT_EQ(map.histogram[9], 1);
  EXPECT_EQ(found.maps[2].histogram[5], 1) << "exactly 50 % belongs to the bin that starts there";
}

TEST(Analyse, EdgeBlocksCountTheirOwnPositions) {
  const MatrixAnalysis found =
      analyse(TestMatrix(DType::fp32, 65, 65, [](auto, auto) { return true; }).view());
  EXPECT_EQ(found.maps[1].area(1, 1), 1);
  EXPECT_EQ(found.maps[1].min, 1.0);
  EXPECT_EQ(winner(found), "dense");
}

TEST(Analyse, Percentiles) {
  // Row r holds r nonzeros of 10, for r = 1..10.
  const auto found = analyse(TestMatrix(DType::fp32, 10, 10, [](auto r, auto c) { return c <= r; }).view());
  EXPECT_DOUBLE_EQ(found.row_density.min, 0.1);
  EXPECT_DOUBLE_EQ(found.row_density.p10, 0.1);
  EXPECT_DOUBLE_EQ(found.row_density.p50, 0.5);
  EXPECT_DOUBLE_EQ(found.row_density.p90, 0.9);
  EXPECT_DOUBLE_EQ(found.row_density.max, 1.0);
  EXPECT_DOUBLE_EQ(found.row_density.mean, 0.55);
}

struct KeepCase {
  const char* what;
  int keep, group;
};

TEST(Analyse, FindsTheTightestKeepPerGroup) {
  for (const KeepCase& row : {KeepCase{"2:4", 2, 4},
                              {"1:4", 1, 4},
                              {"3:4", 3, 4},
                              {"2:8", 2, 8},
                              {"3:8", 3, 8},
                              {"4:16", 4, 16},
                              {"5:32", 5, 32}}) {
    // The kept positions wander inside the group from row to row.
    const TestMatrix matrix(DType::fp32, 128, 256, [&](std::int64_t r, std::int64_t c) {
      return (c * 7 + r * 5 + r / 3) % row.group < row.keep;
    });
    const MatrixAnalysis found = analyse(matrix.view());
    ASSERT_TRUE(found.n_m) << row.what;
    // 1:4 is 2:8 is 4:16; the smallest group names the property.
    EXPECT_DOUBLE_EQ(static_cast<double>(found.n_m->keep) / found.n_m->group,
                     static_cast<double>(row.keep) / row.group)
        << row.what;
    EXPECT_LE(found.n_m->group, row.group);
    EXPECT_FALSE(found.n_m->by_chance) << row.what;
    EXPECT_DOUBLE_EQ(found.n_m->fill, 1.0);
  }
}

TEST(Analyse, ARandomMatrixIsNotKeepPerGroup) {
  for (const double density : {0.01, 0.1, 0.3, 0.5}) {
    const MatrixAnalysis found = analyse(random_mask(1, 512, 512, density).view());
    EXPECT_FALSE(found.n_m) << found.n_m->keep << ":" << found.n_m->group << " at " << density;
  }
}

TEST(Analyse, AnExactPropertyByChanceSaysSo) {
  const MatrixAnalysis found =
      analyse(TestMatrix(DType::fp32, 64, 64, [](auto r, auto c) { return r == 5 && c % 32 == 0; }).view());
  ASSERT_TRUE(found.n_m);
  EXPECT_TRUE(found.n_m->by_chance);
  EXPECT_GT(found.n_m->chance, 0.9);
}

TEST(Analyse, FindsBlocks) {
  const auto checkerboard = [](std::int64_t height, std::int64_t width) {
    return TestMatrix(DType::fp32, 256, 256,
                      [=](auto r, auto c) { return (r / height + c / width) % 2 == 0; });
  };
  for (const auto& [height, width] : {std::pair{16, 16}, {4, 1}, {1, 8}, {64, 64}, {32, 2}}) {
    const MatrixAnalysis found = analyse(checkerboard(height, width).view());
    ASSERT_TRUE(found.blocks) << height << "x" << width;
    EXPECT_EQ(found.blocks->block_rows, height);
    EXPECT_EQ(found.blocks->block_cols, width);
    EXPECT_DOUBLE_EQ(found.blocks->fill, 1.0);
  }
  EXPECT_EQ(winner(analyse(checkerboard(16, 16).view())), "block16x16");
}

TEST(Analyse, ToleratesAFewHolesInBlocks) {
  const MatrixAnalysis found = analyse(TestMatrix(DType::fp32, 128, 128, [](auto r, auto c) {
                                         return (r / 16 + c / 16) % 2 == 0 && (r * 128 + c) % 37 != 0;
                                       }).view());
  ASSERT_TRUE(found.blocks);
  EXPECT_EQ(found.blocks->block_rows * found.blocks->block_cols, 256);
  EXPECT_LT(found.blocks->fill, 1.0);
}

TEST(Analyse, RandomMasksHaveNoBlocks) {
  EXPECT_FALSE(analyse(random_mask(2, 256, 256, 0.3).view()).blocks);
  EXPECT_FALSE(analyse(random_mask(2, 256, 256, 0.98).view()).blocks) << "dense is no block structure";
}

TEST(Analyse, SharesOutsideTwoFourOfRandomMasks) {
  // Measured for i.i.d. masks: 5.1 % at 60 %, 2.3 % at 70 %, 0.7 % at 80 % sparsity.
  EXPECT_NEAR(analyse(random_mask(3, 512, 1024, 0.4).view()).outside_two_four, 0.051, 0.002);
  EXPECT_NEAR(analyse(random_mask(3, 512, 1024, 0.3).view()).outside_two_four, 0.023, 0.002);
  EXPECT_NEAR(analyse(random_mask(3, 512, 1024, 0.2).view()).outside_two_four, 0.007, 0.001);
}

TEST(Analyse, FormatSizesOfRandomMasks) {
  // Bytes per nonzero for 16-bit values; without the row and tile offsets, which the formats add.
  struct Row {
    double sparsity, bitmap, delta4, bound;
  };
  for (const Row& row : {Row{0.5, 2.25, 2.50, 2.25},
                         {0.7, 2.42, 2.51, 2.37},
                         {0.9, 3.25, 3.07, 2.59},
                         {0.95, 4.50, 4.47, 2.72}}) {
    const MatrixAnalysis found =
        analyse(random_mask(4, 256, 4096, 1 - row.sparsity).view(), {.plan_dtype = DType::bf16});
    const auto nnz = static_cast<double>(found.nnz);
    const double offsets = 4.0 * 256 / nnz;
    EXPECT_NEAR(static_cast<double>(bytes_of(found, "bitmap")) / nnz - offsets, row.bitmap, 0.02);
    EXPECT_NEAR(static_cast<double>(bytes_of(found, "delta4")) / nnz - offsets, row.delta4, 0.03);
    EXPECT_NEAR(static_cast<double>(found.entropy_bound) / nnz, row.bound, 0.02);
    EXPECT_EQ(bytes_of(found, "tile_index8"), found.nnz * 3 + 2 * 256 * 16);
    EXPECT_EQ(bytes_of(found, "index16"), found.nnz * 4 + 4 * 256);
    EXPECT_EQ(bytes_of(found, "dense"), 256 * 4096 * 2);
  }
}

TEST(Analyse, TheSmallestFormatFollowsTheDensity) {
  const auto smallest = [](double density, DType dtype) {
    const TestMatrix matrix = random_mask(5, 256, 4096, density);
    return winner(analyse(matrix.view(), {.plan_dtype = dtype}));
  };
  EXPECT_EQ(smallest(0.5, DType::bf16), "bitmap");
  EXPECT_EQ(smallest(0.3, DType::fp32), "bitmap");
  EXPECT_EQ(smallest(0.04, DType::bf16), "tile_index8");
  EXPECT_EQ(smallest(0.0005, DType::bf16), "index16");
  EXPECT_EQ(smallest(0.999, DType::fp32), "dense");
}

TEST(Analyse, TwoFourIsStoredAsSuch) {
  const MatrixAnalysis found =
      analyse(TestMatrix(DType::bf16, 64, 256, [](auto r, auto c) { return (c + r) % 4 < 2; }).view(),
              {.plan_dtype = DType::bf16});
  EXPECT_EQ(bytes_of(found, "n_m"), 64 * 128 * 2 + 64 * 128 * 2 / 8);
  EXPECT_EQ(winner(found), "n_m") << "a bitmap has the same bits per position, and row offsets";
}

TEST(Analyse, Uniformity) {
  const auto verdict = [](const TestMatrix& matrix) { return analyse(matrix.view()).uniformity.verdict; };
  std::mt19937_64 random(6);
  std::uniform_real_distribution<double> uniform;
  EXPECT_EQ(verdict(random_mask(6, 512, 512, 0.3)), Variation::uniform);
  EXPECT_EQ(verdict(random_mask(6, 40, 40, 0.05)), Variation::uniform) << "chance in a small matrix";
  EXPECT_EQ(verdict(TestMatrix(
                DType::fp32, 512, 512,
                [&](auto r, auto c) { return uniform(random) < ((r / 64 + c / 64) % 2 ? 0.1 : 0.5); })),
            Variation::by_region);
  EXPECT_EQ(
      verdict(TestMatrix(DType::fp32, 512, 512,
                         [&](auto r, auto) { return uniform(random) < (r * 37 % 64 < 32 ? 0.1 : 0.5); })),
      Variation::by_row);
  EXPECT_EQ(
      verdict(TestMatrix(DType::fp32, 512, 512,
                         [&](auto r, auto) { return uniform(random) < (r * 37 % 512 < 40 ? 0.9 : 0.05); })),
      Variation::by_row)
      << "a few full rows make blocks differ too, but only because of the rows";
  EXPECT_EQ(verdict(TestMatrix(DType::fp32, 512, 512,
                               [&](auto r, auto) { return uniform(random) < (r < 128 ? 0.9 : 0.1); })),
            Variation::by_region)
      << "rows that differ but stand together are regions";
  EXPECT_EQ(verdict(TestMatrix(DType::fp32, 512, 512, [](auto r, auto c) { return (c + r) % 4 < 2; })),
            Variation::uniform)
      << "more even than chance";
}

}  // namespace
}  // namespace cross::compiler
