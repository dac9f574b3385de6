// Launching a kernel with dynamic shared memory, and with programmatic dependent launch where asked for.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>

namespace cross::kernels::cuda {

/// Shared memory per block that the current device allows; asked once per thread and device.
std::size_t opt_in_shared_bytes();

/// Lets `kernel` have `bytes` of dynamic shared memory on the current device. Asks CUDA once per thread,
/// device and kernel: it would cost every launch a microsecond. Returns a cudaError_t.
int allow_shared_bytes(const void* kernel, std::size_t bytes);

/// Raises the kernel's limit once, then launches. Returns a cudaError_t.
template <class... Params>
int launch(void (*kernel)(Params...), int blocks, int threads, std::size_t shared, void* stream, bool overlap,
           const Params&... params) {
  cudaLaunchConfig_t config = {};
  config.gridDim = dim3(static_cast<unsigned>(blocks));
  config.blockDim = dim3(static_cast<unsigned>(threads));
  config.dynamicSmemBytes = shared;
  config.stream = static_cast<cudaStream_t>(stream);
  cudaLaunchAttribute attribute = {};
  attribute.id = cudaLaunchAttributeProgrammaticStreamSerialization;
  attribute.val.programmaticStreamSerializationAllowed = 1;
  config.attrs = &attribute;
  config.numAttrs = overlap ? 1 : 0;
  const auto* symbol = reinterpret_cast<const void*>(kernel);
  if (shared > 48 * 1024)
    if (const int error = allow_shared_bytes(symbol, shared); error != cudaSuccess) return error;
  void* arguments[] = {const_cast<void*>(static_cast<const void*>(&params))...};
  return cudaLaunchKernelExC(&config, symbol, arguments);
}

}  // namespace cross::kernels::cuda
