// A picture of where a weight matrix is dense.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "cross/analysis.h"

namespace cross::cli {

/// The finest map that fits on a screen, or the one with blocks of `block`. UsageError for other block sizes.
const BlockMap& pick_map(const MatrixAnalysis& analysis, int block);

/// One character per block: '.' without nonzeros, 0 … 9 for density in tenths, '#' where nothing is pruned.
std::string density_map_text(const BlockMap& map);
nlohmann::ordered_json density_map_json(const BlockMap& map);

}  // namespace cross::cli
