// The driver's half of the CUDA device family. Declared in every build; one without CUDA has absent.cpp,
// which throws DeviceError.
#pragma once

#include <memory>
#include <string>

#include "compiler/family/family.h"
#include "compiler/select/measurer.h"
#include "cross/bench.h"
#include "cross/calibrate.h"
#include "cross/profile.h"
#include "driver/layer_runner.h"

namespace cross::driver::cuda {

/// What compiling for a GPU needs to know of it.
struct Target {
  ProfileKey key;
  compiler::GpuFamily family;
  std::string description;  ///< "NVIDIA H200, sm90, 132 SMs"
  int sm = 0, sms = 0;
  std::unique_ptr<compiler::Measurer> measurer;  ///< times on the GPU
};

/// DeviceError without such a GPU.
Target open_target(int index);
ProfileKey profile_key(int index);

CostProfile calibrate(const CalibrateOptions& options, int index);
BenchReport bench(const Plan& plan, const BenchOptions& options, int index);
std::unique_ptr<LayerRunner> make_runner(const Plan& plan, int index);

}  // namespace cross::driver::cuda
