#include "driver/density_grid.h"

#include <algorithm>

#include "driver/decoded_panels.h"

namespace cross::driver {
namespace {

std::int64_t ceil_div(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

DensityGrid empty_grid(const LayerPlan& layer, std::int64_t most_side) {
  DensityGrid grid;
  grid.block = 16;
  while (ceil_div(std::max(layer.rows, layer.cols), grid.block) > most_side) grid.block *= 2;
  grid.rows = ceil_div(layer.rows, grid.block);
  grid.cols = ceil_div(layer.cols, grid.block);
  return grid;
}

using Counts = std::vector<std::uint32_t>;

void fill(DensityGrid& grid, const LayerPlan& layer, const std::vector<Counts>& counts) {
  grid.density.resize(static_cast<std::size_t>(grid.rows * grid.cols));
  for (std::int64_t r = 0; r < grid.rows; ++r)
    for (std::int64_t c = 0; c < grid.cols; ++c) {
      const auto at = static_cast<std::size_t>(r * grid.cols + c);
      std::uint64_t kept = 0;
      for (const Counts& of_worker : counts) kept += of_worker[at];
      const std::int64_t positions = std::min(grid.block, layer.rows - r * grid.block) *
                                     std::min(grid.block, layer.cols - c * grid.block);
      grid.density[at] = static_cast<float>(static_cast<double>(kept) / static_cast<double>(positions));
    }
}

/// Segments of a panel with the gaps between them, as format and columns.
std::vector<FormatRegion> regions_of(const LayerPlan& layer, const Panel& panel) {
  std::vector<FormatRegion> regions;
  const auto add = [&](std::int64_t begin, std::int64_t end, Format format) {
    if (begin >= end) return;
    const std::string name(name_of(format));
    if (!regions.empty() && regions.back().format == name)
      regions.back().k_end = end;
    else
      regions.push_back({panel.row_begin, panel.row_begin + panel.rows, begin, end, name});
  };
  std::int64_t at = 0;
  for (const Segment& segment : panel.segments) {
    add(at, segment.k_begin, Format::empty);
    add(segment.k_begin, segment.k_end, segment.format);
    at = segment.k_end;
  }
  add(at, layer.cols, Format::empty);
  return regions;
}

bool same_columns(const std::vector<FormatRegion>& a, const std::vector<FormatRegion>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const FormatRegion& x, const FormatRegion& y) {
    return x.k_begin == y.k_begin && x.k_end == y.k_end && x.format == y.format;
  });
}

}  // namespace

DensityGrids density_grids(const LayerPlan& layer, const Packing& packing, std::int64_t most_side,
                           Executor& executor) {
  DensityGrids grids{empty_grid(layer, most_side), {}};
  const bool reordered = !packing.dense() && !layer.row_order.empty();
  const DensityGrid& shape = grids.as_stored;
  const auto cells = static_cast<std::size_t>(shape.rows * shape.cols);
  const auto workers = static_cast<std::size_t>(executor.workers());
  std::vector<Counts> stored(workers, Counts(cells)), packed(reordered ? workers : 0, Counts(cells));
  const std::size_t panels = panel_count(layer, packing);
  executor.run([&](int worker) {
    const auto w = static_cast<std::size_t>(worker);
    for (std::size_t panel = w; panel < panels; panel += workers) {
      const std::int64_t begin = panel_rows(layer, packing, panel).begin;
      decode_panel(layer, packing, panel, [&](int row, std::int64_t column, std::uint32_t bits) {
        if (bits == 0) return;  // padding
        const std::int64_t c = column / shape.block;
        const std::int64_t r = source_row(layer, packing, begin + row) / shape.block;
        ++stored[w][static_cast<std::size_t>(r * shape.cols + c)];
        if (reordered) ++packed[w][static_cast<std::size_t>((begin + row) / shape.block * shape.cols + c)];
      });
    }
  });
  if (reordered) {
    grids.as_packed = shape;
    fill(grids.as_packed, layer, packed);
  }
  fill(grids.as_stored, layer, stored);
  return grids;
}

std::vector<FormatRegion> format_regions(const LayerPlan& layer, const Packing& packing, std::size_t most) {
  std::vector<FormatRegion> all, last;
  std::size_t first_of_last = 0;
  for (const Panel& panel : packing.panels) {
    std::vector<FormatRegion> regions = regions_of(layer, panel);
    if (!all.empty() && same_columns(last, regions)) {
      for (std::size_t i = first_of_last; i < all.size(); ++i) all[i].row_end = panel.row_begin + panel.rows;
      continue;
    }
    first_of_last = all.size();
    all.insert(all.end(), regions.begin(), regions.end());
    if (all.size() > most) return {};
    last = std::move(regions);
  }
  return all;
}

}  // namespace cross::driver
