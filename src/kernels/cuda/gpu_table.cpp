#include <cuda_runtime_api.h>

#include <array>
#include <cstdint>

#include "kernels/cuda/device_limits.h"
#include "kernels/cuda/launch.h"
#include "kernels/cuda/rows.h"

namespace cross::kernels::cuda {

std::span<const GpuKernel> gpu_kernels() {
  static const std::array rows = {bitmap_planes_sm90(),  bitmap_planes_sm80(), cross_panels_sm90(),
                                  delta4_sm90(),         delta4_sm80(),        delta8_sm90(),
                                  delta8_sm80(),         two_four_sm90(),      two_four_sm80(),
                                  block_tiles_sm90(),    split_blocks_sm90(),  two_four_overflow_sm90(),
                                  column_vectors_sm90(), row_lists_sm90()};
  return rows;
}

const GpuKernel* gpu_kernel_for(Format format, int major, int minor) {
  (void)minor;
  for (const GpuKernel& kernel : gpu_kernels()) {
    if (kernel.format != format) continue;
    // sm90 code is built for 9.0a, which runs on compute capability 9.0 alone; sm80 code also as PTX.
    if (kernel.arch == "sm90" ? major == 9 : major >= 8) return &kernel;
  }
  return nullptr;
}

const DeviceLimits& device_limits() {
  thread_local DeviceLimits limits{.device = -1};
  int device = 0;
  if (cudaGetDevice(&device) != cudaSuccess || device == limits.device) return limits;
  int sms = 0, bytes = 0;
  if (cudaDeviceGetAttribute(&sms, cudaDevAttrMultiProcessorCount, device) == cudaSuccess &&
      cudaDeviceGetAttribute(&bytes, cudaDevAttrMaxSharedMemoryPerBlockOptin, device) == cudaSuccess)
    limits = {device, sms, static_cast<std::size_t>(bytes)};
  return limits;
}

std::size_t opt_in_shared_bytes() { return device_limits().shared_bytes; }

int allow_shared_bytes(const void* kernel, std::size_t bytes) {
  struct Known {
    const void* kernel = nullptr;
    int device = 0;
    std::size_t bytes = 0;
  };
  // Kernels that fall on one place take turns there, which costs time only.
  thread_local std::array<Known, 64> all;
  int device = 0;
  if (const cudaError_t error = cudaGetDevice(&device); error != cudaSuccess) return error;
  Known& known = all[reinterpret_cast<std::uintptr_t>(kernel) / 16 % all.size()];
  if (known.kernel == kernel && known.device == device && known.bytes >= bytes) return cudaSuccess;
  const cudaError_t error =
      cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(bytes));
  if (error == cudaSuccess) known = {kernel, device, bytes};
  return error;
}

}  // namespace cross::kernels::cuda
