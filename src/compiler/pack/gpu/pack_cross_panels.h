// Packs format cross_panels (src/plan/formats/gpu/cross_panels.h) and says what was decided.
#pragma once

#include <array>
#include <vector>

#include "compiler/pack/gpu/pack_gpu.h"
#include "compiler/partition/partition.h"

namespace cross::compiler {

/// Clocks of an SM for one token tile of 128 tokens, measured (docs/gpu.md, cross_panels).
struct CrossPrices {
  double tensor_half = 1300.0;   ///< one half (64 rows) of a tensor step
  double gather_weight = 16.0;   ///< one kept weight on CUDA cores that work alone, filling included
  double gather_chunk = 1000.0;  ///< what a chunk costs besides
  double dense_slowdown = 1.25, sparse_slowdown = 2.0;  ///< while the other unit works too
  double piece = 3000.0;                                ///< writing out a piece's sums
  /// Both units only where that gains this share: x has to be stored for CUDA cores too.
  double least_gain = 0.3;
};

/// What the stages decided, in predicted clocks of one token tile, summed over panels.
struct CrossDecision {
  BandCounts bands;                             ///< of blocks of 128x64
  std::int64_t tensor_steps = 0;                ///< blocks on tensor cores
  std::int64_t gathered_steps = 0;              ///< blocks on CUDA cores
  double all_tensor = 0.0;                      ///< every block on tensor cores
  double before = 0.0, after = 0.0;             ///< finish before and after the intra-batch balance
  double tensor_load = 0.0, gather_load = 0.0;  ///< after it, each unit alone
  std::array<double, 8> imbalance{};            ///< per number of token tiles: largest worker / mean
};

std::vector<std::byte> pack_cross_panels(const MatrixView& weight, const GpuTarget& target, int threads,
                                         std::int64_t& kept, CrossDecision* decision = nullptr);

}  // namespace cross::compiler
