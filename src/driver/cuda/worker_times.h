// When the workers of a persistent kernel for two kinds of unit (format cross_panels) were done: what their
// balance really was.
#pragma once

#include <cstdint>
#include <vector>

#include "cross/plan.h"
#include "cuda/device.h"

namespace cross::driver::cuda {

/// µs from the first instruction of the first worker to when each worker's units were done with their last
/// piece.
struct WorkerTimes {
  std::vector<double> tensor, gather;
  std::vector<double> all() const;  ///< the later of both
};

/// Runs an fp32 layer of one cross_panels segment a few times; the times of the last run.
WorkerTimes worker_times(const LayerPlan& layer, const cross::cuda::DeviceInfo& device, std::int64_t tokens);

double mean(const std::vector<double>& values);

}  // namespace cross::driver::cuda
