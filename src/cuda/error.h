// CUDA's and cuBLASLt's status codes as errors.
#pragma once

#include <string_view>

namespace cross::cuda {

/// InternalError naming `what` unless `status` (a cudaError_t) is success; DeviceError if the GPU lacks
/// memory or the driver is at fault. `what` completes "while …".
void check(int status, std::string_view what);
/// The same for a cublasStatus_t.
void check_library(int status, std::string_view what);

}  // namespace cross::cuda
