// The word-wise analysis against counting position by position, over odd shapes, dtypes and densities.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <random>
#include <vector>

#include "compiler/masks.h"
#include "cross/analysis.h"

namespace cross::compiler {
namespace {

bool kept(const MatrixView& w, std::int64_t r, std::int64_t c) { return w.bits(r, c) != 0; }

void expect_counts(const MatrixView& w, const MatrixAnalysis& found) {
  std::vector<std::int64_t> rows(static_cast<std::size_t>(w.rows)), cols(static_cast<std::size_t>(w.cols));
  std::int64_t nnz = 0;
  for (std::int64_t r = 0; r < w.rows; ++r) {
    for (std::int64_t c = 0; c < w.cols; ++c) {
      if (!kept(w, r, c)) continue;
      ++nnz;
      ++rows[static_cast<std::size_t>(r)];
      ++cols[static_cast<std::size_t>(c)];
    }
  }
  EXPECT_EQ(found.nnz, nnz);
  EXPECT_EQ(found.row_nnz, rows);
  EXPECT_EQ(found.col_nnz, cols);
  EXPECT_EQ(found.empty_rows, std::count(rows.begin(), rows.end(), 0));
  EXPECT_EQ(found.empty_cols, std::count(cols.begin(), cols.end(), 0));
  for (const BlockMap& map : found.maps) {
    std::vector<std::uint32_t> blocks(static_cast<std::size_t>(map.rows * map.cols));
    for (std::int64_t r = 0; r < w.rows; ++r) {
      for (std::int64_t c = 0; c < w.cols; ++c) {
        blocks[static_cast<std::size_t>(r / map.block * map.cols + c / map.block)] += kept(w, r, c);
      }
    }
    EXPECT_EQ(map.nnz, blocks) << map.block;
  }
}

void expect_groups(const MatrixView& w, const MatrixAnalysis& found) {
  std::array<int, 4> most{};
  std::int64_t outside = 0;
  for (std::size_t g = 0; g < 4; ++g) {
    const std::int64_t group = 4 << g;
    for (std::int64_t r = 0; r < w.rows; ++r) {
      for (std::int64_t first = 0; first < w.cols; first += group) {
        int count = 0;
        for (std::int64_t c = first; c < std::min(w.cols, first + group); ++c) count += kept(w, r, c);
        most[g] = std::max(most[g], count);
        if (g == 0) outside += std::max(0, count - 2);
      }
    }
  }
  EXPECT_EQ(found.most_in_group, most);
  EXPECT_DOUBLE_EQ(found.outside_two_four * static_cast<double>(w.elements()), static_cast<double>(outside));
}

void expect_largest_block(const MatrixView& w, const MatrixAnalysis& found) {
  int largest = 0;
  for (int height = 1; height <= 64 && height <= w.rows; height *= 2) {
    for (int width = 1; width <= 64 && width <= w.cols; width *= 2) {
      const std::int64_t grid_cols = (w.cols + width - 1) / width;
      std::vector<bool> seen(static_cast<std::size_t>((w.rows + height - 1) / height * grid_cols));
      std::int64_t area = 0;
      for (std::int64_t r = 0; r < w.rows; ++r) {
        for (std::int64_t c = 0; c < w.cols; ++c) {
          const auto at = static_cast<std::size_t>(r / height * grid_cols + c / width);
          if (!kept(w, r, c) || seen[at]) continue;
          seen[at] = true;
          area += std::min<std::int64_t>(height, w.rows - r / height * height) *
                  std::min<std::int64_t>(width, w.cols - c / width * width);
        }
      }
      const bool filled = static_cast<double>(found.nnz) >= 0.95 * static_cast<double>(area);
      if (filled && height * width > 1) largest = std::max(largest, height * width);
    }
  }
  if (found.nnz == 0 || found.density >= 0.95) largest = 0;
  EXPECT_EQ(found.blocks ? found.blocks->block_rows * found.blocks->block_cols : 0, largest);
}

void expect_delta4(const MatrixView& w, const MatrixAnalysis& found) {
  std::int64_t entries = found.nnz;
  for (std::int64_t r = 0; r < w.rows; ++r) {
    std::int64_t zeros = 0;
    for (std::int64_t c = 0; c < w.cols; ++c) {
      if (!kept(w, r, c)) {
        ++zeros;
        continue;
      }
      entries += zeros / 16;
      zeros = 0;
    }
  }
  EXPECT_EQ(found.sizes[2].name, "delta4");
  EXPECT_EQ(found.sizes[2].bytes, (entries + 1) / 2 + entries * 4 + 4 * w.rows);
}

TEST(AnalyseReference, EveryCountEqualsCountingByHand) {
  const std::int64_t shapes[][2] = {{1, 1},   {1, 200}, {200, 1},  {3, 5},    {16, 16},  {17, 33},
                                    {64, 64}, {63, 65}, {70, 129}, {300, 31}, {130, 257}};
  std::uint64_t seed = 0;
  for (const auto& [rows, cols] : shapes) {
    for (const double density : {0.0, 0.01, 0.05, 0.3, 0.6, 0.96, 1.0}) {
      const DType dtype = seed % 3 == 0 ? DType::fp32 : seed % 3 == 1 ? DType::bf16 : DType::fp16;
      const TestMatrix matrix = random_mask(++seed, rows, cols, density, dtype);
      SCOPED_TRACE(testing::Message() << rows << "x" << cols << " at " << density << " " << name_of(dtype));
      const MatrixAnalysis found = analyse(matrix.view());
      expect_counts(matrix.view(), found);
      expect_groups(matrix.view(), found);
      expect_largest_block(matrix.view(), found);
      expect_delta4(matrix.view(), found);
    }
  }
}

TEST(AnalyseReference, BlockMasksToo) {
  std::mt19937_64 random(4);
  for (const std::int64_t block_rows : {1, 4, 16}) {
    for (const std::int64_t block_cols : {2, 8, 32}) {
      std::vector<bool> blocks(100 * 100);
      for (auto&& on : blocks) on = random() % 3 == 0;
      const TestMatrix matrix(DType::fp32, 77, 150, [&](std::int64_t r, std::int64_t c) {
        return blocks[static_cast<std::size_t>(r / block_rows * 100 + c / block_cols)];
      });
      const MatrixAnalysis found = analyse(matrix.view());
      SCOPED_TRACE(testing::Message() << block_rows << "x" << block_cols);
      expect_largest_block(matrix.view(), found);
      expect_groups(matrix.view(), found);
    }
  }
}

}  // namespace
}  // namespace cross::compiler
