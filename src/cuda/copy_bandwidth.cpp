#include "cuda/copy_bandwidth.h"

#include <cuda_runtime_api.h>

#include "cuda/error.h"
#include "cuda/replay.h"

namespace cross::cuda {

double copy_bandwidth(const DeviceInfo& device) {
  const std::size_t bytes = 8 * device.l2_bytes;
  const DeviceBuffer from(bytes, "measuring the bandwidth"), to(bytes, "measuring the bandwidth");
  from.fill(1);
  Replay replay(4, [&](int, void* stream) {
    check(cudaMemcpyAsync(to.data(), from.data(), bytes, cudaMemcpyDeviceToDevice,
                          static_cast<cudaStream_t>(stream)),
          "measuring the bandwidth");
  });
  const double us = summary(interleave({&replay}, {.seconds = 0.05})[0]).median_us;
  return 2.0 * static_cast<double>(bytes) / us * 1e-3;
}

}  // namespace cross::cuda
