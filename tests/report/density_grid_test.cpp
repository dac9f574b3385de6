#include "driver/density_grid.h"

#include <gtest/gtest.h>

#include "cross/executor.h"
#include "support/make_plan.h"

namespace cross::testing {
namespace {

/// Densities counted from the weight itself, rows taken in `order` (W's if empty).
std::vector<float> counted(const Array& weight, const DensityGrid& grid,
                           const std::vector<std::int32_t>& order) {
  std::vector<float> result;
  for (std::int64_t r = 0; r < grid.rows; ++r)
    for (std::int64_t c = 0; c < grid.cols; ++c) {
      std::int64_t kept = 0, positions = 0;
      for (std::int64_t i = r * grid.block; i < std::min(weight.rows(), (r + 1) * grid.block); ++i)
        for (std::int64_t k = c * grid.block; k < std::min(weight.cols(), (c + 1) * grid.block); ++k) {
          kept += weight.bits(order.empty() ? i : order[static_cast<std::size_t>(i)], k) != 0 ? 1 : 0;
          ++positions;
        }
      result.push_back(static_cast<float>(static_cast<double>(kept) / static_cast<double>(positions)));
    }
  return result;
}

/// Rows differ, so that an order taken the wrong way round shows.
Array weight_of(DType dtype) {
  return masked_array(
      3, dtype, 150, 300, [](std::int64_t r, std::int64_t k) { return (r * r + 7 * k) % 13 < r % 11; },
      Values::ordinary);
}

driver::DensityGrids grids_of(const LayerPlan& layer, std::int64_t most_side) {
  const auto executor = make_thread_executor(3);
  return driver::density_grids(layer, layer.packings.front(), most_side, *executor);
}

TEST(DensityGrid, CountsWhatIsKept) {
  for (const DType dtype : {DType::fp32, DType::bf16})
    for (const Format format :
         {Format::index8, Format::bitmap, Format::dense_panel, Format::block, Format::dense}) {
      const Array weight = weight_of(dtype);
      PlanRecipe recipe;
      recipe.formats = {format};
      const LayerPlan layer = make_layer(weight, recipe);
      const driver::DensityGrids grids = grids_of(layer, 96);
      EXPECT_EQ(grids.as_stored.block, 16);
      EXPECT_EQ(grids.as_stored.rows, 10);
      EXPECT_EQ(grids.as_stored.cols, 19);
      EXPECT_EQ(grids.as_stored.density, counted(weight, grids.as_stored, {})) << name_of(format);
      EXPECT_TRUE(grids.as_packed.density.empty());
    }
}

TEST(DensityGrid, InBothRowOrders) {
  const Array weight = weight_of(DType::fp32);
  PlanRecipe recipe;
  recipe.formats = {Format::index8, Format::bitmap};
  recipe.segment_cols = 128;
  recipe.reorder_rows = true;
  const LayerPlan layer = make_layer(weight, recipe);
  ASSERT_FALSE(layer.row_order.empty());
  const driver::DensityGrids grids = grids_of(layer, 96);
  EXPECT_EQ(grids.as_stored.density, counted(weight, grids.as_stored, {}));
  EXPECT_EQ(grids.as_packed.density, counted(weight, grids.as_packed, layer.row_order));
}

TEST(DensityGrid, LargerBlocksForLargerMatrices) {
  const LayerPlan layer = make_layer(weight_of(DType::fp32), {});
  EXPECT_EQ(grids_of(layer, 19).as_stored.block, 16);
  EXPECT_EQ(grids_of(layer, 18).as_stored.block, 32);
  EXPECT_EQ(grids_of(layer, 3).as_stored.block, 128);
}

TEST(FormatRegions, NeighboursOfOneFormatAreOne) {
  const Array weight = weight_of(DType::fp32);
  PlanRecipe recipe;
  recipe.panel_rows = 32;
  const LayerPlan one = make_layer(weight, recipe);
  const auto whole = driver::format_regions(one, one.packings.front(), 100);
  ASSERT_EQ(whole.size(), 1u);
  EXPECT_EQ(whole[0].row_begin, 0);
  EXPECT_EQ(whole[0].row_end, 150);
  EXPECT_EQ(whole[0].k_end, 300);
  EXPECT_EQ(whole[0].format, "index8");

  recipe.formats = {Format::index8, Format::bitmap};
  recipe.segment_cols = 128;
  const LayerPlan mixed = make_layer(weight, recipe);
  std::int64_t area = 0;
  const auto regions = driver::format_regions(mixed, mixed.packings.front(), 100);
  EXPECT_GT(regions.size(), 1u);
  for (const FormatRegion& r : regions) area += (r.row_end - r.row_begin) * (r.k_end - r.k_begin);
  EXPECT_EQ(area, 150 * 300);
  EXPECT_TRUE(driver::format_regions(mixed, mixed.packings.front(), 1).empty());
}

}  // namespace
}  // namespace cross::testing
