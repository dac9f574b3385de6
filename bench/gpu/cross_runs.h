// The kernel for two kinds of unit (format cross_panels) with its decisions forced, for studies of what each
// is worth.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "compiler/pack/gpu/pack_cross_panels.h"
#include "cross/plan.h"
#include "cuda/device.h"
#include "gpu/weights.h"

namespace cross_bench {

/// An fp32 weight, packed with some decisions forced.
struct CrossForm {
  std::string name;
  cross::LayerPlan plan;
  cross::compiler::CrossDecision decision;
};
CrossForm pack_cross(const Weight& weight, const cross::cuda::DeviceInfo& device, std::string name,
                     const cross::compiler::CrossPanelsOptions& options, std::int64_t tokens, int threads);

/// Rows or columns (or both) in descending order of kept weights.
Weight sorted_weight(const Weight& weight, bool rows, bool cols);

}  // namespace cross_bench
