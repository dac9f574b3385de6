// Runs a plan's layers on host buffers, whatever the device: for verify and run.
#pragma once

#include <memory>

#include "cross/device.h"
#include "cross/executor.h"
#include "cross/session.h"

namespace cross::driver {

class LayerRunner {
 public:
  virtual ~LayerRunner() = default;
  /// y = activation(x·Wᵀ + bias); x, y and residual on the host; the workspace is the runner's own.
  virtual void run(std::size_t layer, const RunArgs& args) = 0;
};

/// @param device "" or "cuda:1": which GPU runs a CUDA plan; UsageError if it is not of the plan's family.
/// @param threads of a CPU plan, resolved.
std::unique_ptr<LayerRunner> make_runner(const Plan& plan, const std::string& device, int threads);

/// The GPU's index, or the plan's family's first; UsageError if `device` is of another family than the plan.
DeviceId device_for(const Plan& plan, const std::string& device);

}  // namespace cross::driver
