// Dense libraries to compare with.
#pragma once

#include <string>
#include <vector>

#include "kernels/dense/dense_product.h"

namespace cross::driver {

/// "best": all that this build has; else the one named. UsageError for unknown names, DeviceError for a
/// library that this build lacks.
std::vector<kernels::DenseLibrary> baseline_libraries(const std::string& baseline);

}  // namespace cross::driver
