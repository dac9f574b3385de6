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

/// Raises the kernel's limit once, then launches, in clusters of `cluster` blocks in a row if that is more
/// than one. Returns a cudaError_t.
template <class... Params>
int launch_grid(void (*kernel)(Params...), dim3 blocks, int cluster, int threads, std::size_t shared,
                void* stream, bool overlap, const Params&... params) {
  cudaLaunchConfig_t config = {};
  config.gridDim = blocks;
  config.blockDim = dim3(static_cast<unsigned>(threads));
  config.dynamicSmemBytes = shared;
  config.stream = static_cast<cudaStream_t>(stream);
  cudaLaunchAttribute attributes[2] = {};
  config.attrs = attributes;
  if (overlap) {
    cudaLaunchAttribute& attribute = attributes[config.numAttrs++];
    attribute.id = cudaLaunchAttributeProgrammaticStreamSerialization;
    attribute.val.programmaticStreamSerializationAllowed = 1;
  }
  if (cluster > 1) {
    cudaLaunchAttribute& attribute = attributes[config.numAttrs++];
    attribute.id = cudaLaunchAttributeClusterDimension;
    attribute.val.clusterDim = {static_cast<unsigned>(cluster), 1, 1};
  }
  const auto* symbol = reinterpret_cast<const void*>(kernel);
  // 48 KB are allowed unasked, a kernel's static shared memory included.
  if (shared > 32 * 1024)
    if (const int error = allow_shared_bytes(symbol, shared); error != cudaSuccess) return error;
  void* arguments[] = {const_cast<void*>(static_cast<const void*>(&params))...};
  return cudaLaunchKernelExC(&config, symbol, arguments);
}

template <class... Params>
int launch_in_clusters(void (*kernel)(Params...), int blocks, int cluster, int threads, std::size_t shared,
                       void* stream, bool overlap, const Params&... params) {
  return launch_grid(kernel, dim3(static_cast<unsigned>(blocks)), cluster, threads, shared, stream, overlap,
                     params...);
}

template <class... Params>
int launch(void (*kernel)(Params...), int blocks, int threads, std::size_t shared, void* stream, bool overlap,
           const Params&... params) {
  return launch_in_clusters(kernel, blocks, 1, threads, shared, stream, overlap, params...);
}

/// Clusters of `cluster` blocks with `shared` bytes each that the current device runs at a time; 0 on errors.
template <class... Params>
int most_clusters(void (*kernel)(Params...), int cluster, int threads, std::size_t shared) {
  const auto* symbol = reinterpret_cast<const void*>(kernel);
  cudaLaunchAttribute attribute = {};
  attribute.id = cudaLaunchAttributeClusterDimension;
  attribute.val.clusterDim = {static_cast<unsigned>(cluster), 1, 1};
  cudaLaunchConfig_t config = {};
  config.gridDim = dim3(static_cast<unsigned>(cluster));
  config.blockDim = dim3(static_cast<unsigned>(threads));
  config.dynamicSmemBytes = shared;
  config.attrs = &attribute;
  config.numAttrs = 1;
  int clusters = 0;
  if (allow_shared_bytes(symbol, shared) != cudaSuccess ||
      cudaOccupancyMaxActiveClusters(&clusters, symbol, &config) != cudaSuccess)
    return 0;
  return clusters;
}

}  // namespace cross::kernels::cuda
