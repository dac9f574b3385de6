// What the current GPU allows, asked once and remembered: launches ask for it every time.
#pragma once

#include <cstddef>

namespace cross::kernels::cuda {

struct DeviceLimits {
  int device = 0;
  int sms = 0;
  std::size_t shared_bytes = 0;  ///< per block, the opt-in limit
};

/// Of the calling thread's current device.
const DeviceLimits& device_limits();

}  // namespace cross::kernels::cuda
