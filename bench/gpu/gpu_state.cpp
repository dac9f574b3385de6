#include "gpu/gpu_state.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include <algorithm>

namespace cross_bench {
namespace {

constexpr int sm_clock = 1;  // NVML_CLOCK_SM

template <class Function>
Function* symbol(void* library, const char* name) {
  return reinterpret_cast<Function*>(dlsym(library, name));
}

}  // namespace

GpuState::GpuState(int device) : library_(dlopen("libnvidia-ml.so.1", RTLD_NOW | RTLD_LOCAL)) {
  if (library_ == nullptr) return;
  const auto init = symbol<int()>(library_, "nvmlInit_v2");
  const auto handle = symbol<int(unsigned, void**)>(library_, "nvmlDeviceGetHandleByIndex_v2");
  if (init == nullptr || handle == nullptr || init() != 0) return;
  if (handle(static_cast<unsigned>(device), &device_) != 0) device_ = nullptr;
}

GpuState::~GpuState() {
  if (library_ == nullptr) return;
  if (const auto shutdown = symbol<int()>(library_, "nvmlShutdown")) shutdown();
  dlclose(library_);
}

void GpuState::sample() {
  if (device_ == nullptr) return;
  const auto clock = symbol<int(void*, int, unsigned*)>(library_, "nvmlDeviceGetClockInfo");
  const auto power = symbol<int(void*, unsigned*)>(library_, "nvmlDeviceGetPowerUsage");
  unsigned mhz = 0, milliwatts = 0;
  if (clock != nullptr && clock(device_, sm_clock, &mhz) == 0) {
    least_mhz_ = least_mhz_ == 0 ? mhz : std::min(least_mhz_, mhz);
    most_mhz_ = std::max(most_mhz_, mhz);
  }
  if (power != nullptr && power(device_, &milliwatts) == 0)
    most_watts_ = std::max(most_watts_, milliwatts / 1000);
}

std::string GpuState::text() {
  std::string text;
  if (most_mhz_ > 0) text = fmt::format("{} to {} MHz, up to {} W", least_mhz_, most_mhz_, most_watts_);
  least_mhz_ = most_mhz_ = most_watts_ = 0;
  return text;
}

}  // namespace cross_bench
