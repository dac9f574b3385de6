// Clocks and power of the GPU while something is measured: at many tokens they bound the speed.
#pragma once

#include <string>

namespace cross_bench {

/// Reads them through the driver's management library, loaded at run time; silent where it is missing.
class GpuState {
 public:
  explicit GpuState(int device);
  ~GpuState();
  GpuState(const GpuState&) = delete;
  GpuState& operator=(const GpuState&) = delete;

  /// Right after work has ended: clocks have not moved yet, power is a mean of the last moments.
  void sample();
  /// "1320 to 1755 MHz, up to 690 of 700 W" over all samples since the last call; empty without samples.
  std::string text();

 private:
  void* library_ = nullptr;
  void* device_ = nullptr;
  unsigned least_mhz_ = 0, most_mhz_ = 0, most_watts_ = 0;
};

}  // namespace cross_bench
