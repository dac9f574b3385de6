// Inter-batch balance of cross_panels: which cluster computes which piece of which (token tile, panel).
#pragma once

#include <span>
#include <vector>

#include "compiler/balance/units.h"
#include "compiler/pack/gpu/pack_gpu.h"
#include "plan/formats/gpu/cross_panels.h"

namespace cross::compiler {

/// One panel's lists and what they are predicted to take for one token tile.
struct CrossPanelLoad {
  std::uint32_t first_step = 0, steps = 0;
  std::uint32_t first_chunk[2] = {}, chunks[2] = {};  ///< of each share
  double clocks = 0.0;  ///< both lists side by side (finish_time), without what a piece costs besides
};

struct CrossDeal {
  formats::gpu::CrossSchedule schedule;
  std::vector<std::vector<formats::gpu::CrossPiece>> workers;  ///< in the order in which each runs them
  double imbalance = 1.0;                                      ///< predicted: largest load / mean load
  double clocks = 0.0;                                         ///< predicted: largest load
};

/// Deals `tiles` token tiles of all panels to `workers` clusters of two SMs. @param piece_clocks what every
/// piece costs besides its lists (its sums are written out). Policy automatic: the least predicted largest
/// load.
CrossDeal deal_cross_panels(int tiles, int workers, std::span<const CrossPanelLoad> panels,
                            CrossPanelsOptions::Policy policy, double piece_clocks);

}  // namespace cross::compiler
