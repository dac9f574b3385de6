// What the GPU's memory can do at most: the denominator of "fraction of the limit".
#pragma once

#include "cross/cuda.h"

namespace cross::cuda {

/// GB/s of a copy between two large buffers on the current GPU, bytes read and bytes written both counted.
double copy_bandwidth(const DeviceInfo& device);

}  // namespace cross::cuda
