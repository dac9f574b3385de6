// Densities of a packed weight, block by block, for pictures.
#pragma once

#include "cross/executor.h"
#include "cross/report.h"

namespace cross::driver {

struct DensityGrids {
  DensityGrid as_stored;  ///< rows of W
  DensityGrid as_packed;  ///< rows in packed order; without blocks if that is W's
};

/// Blocks of 16 positions or the next power of two that gives at most `most_side` of them along each side.
///
///     density[r, c] = kept weights in block (r, c) / positions in block (r, c)
DensityGrids density_grids(const LayerPlan& layer, const Packing& packing, std::int64_t most_side,
                           Executor& executor);

/// The formats of a sparse packing by region, neighbouring panels of the same formats as one; empty if more
/// than `most` would be left.
std::vector<FormatRegion> format_regions(const LayerPlan& layer, const Packing& packing, std::size_t most);

}  // namespace cross::driver
