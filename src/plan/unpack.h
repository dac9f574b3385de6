// The reverse of packing: a layer's weights as a dense matrix.
#pragma once

#include <cstddef>
#include <vector>

#include "cross/plan.h"

namespace cross {

/// W[rows, cols] of one packing, row-major in the plan's dtype and in the row order of the original weight;
/// pruned positions are zero bits.
std::vector<std::byte> unpack(const LayerPlan& layer, const Packing& packing, DType dtype);

}  // namespace cross
