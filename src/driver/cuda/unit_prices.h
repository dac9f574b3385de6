// What the two kinds of unit cost alone and beside each other (format cross_panels): a profile's `units`.
#pragma once

#include "cross/profile.h"
#include "cuda/device.h"

namespace cross::driver::cuda {

UnitPrices measure_units(const cross::cuda::DeviceInfo& device, int threads);

}  // namespace cross::driver::cuda
