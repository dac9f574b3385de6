#include <cuda_runtime_api.h>

#include <array>

#include "kernels/cuda/launch.h"
#include "kernels/cuda/rows.h"

namespace cross::kernels::cuda {

std::span<const GpuKernel> gpu_kernels() {
  static const std::array rows = {gather8_sm90(), gather8_sm80()};
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

std::size_t opt_in_shared_bytes() {
  int device = 0, bytes = 0;
  if (cudaGetDevice(&device) != cudaSuccess ||
      cudaDeviceGetAttribute(&bytes, cudaDevAttrMaxSharedMemoryPerBlockOptin, device) != cudaSuccess)
    return 0;
  return static_cast<std::size_t>(bytes);
}

}  // namespace cross::kernels::cuda
