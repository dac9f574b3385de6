// Packs format cross_panels (src/plan/formats/gpu/cross_panels.h) and says what was decided.
#pragma once

#include <array>
#include <vector>

#include "compiler/pack/gpu/pack_gpu.h"
#include "compiler/partition/partition.h"

namespace cross::compiler {

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
