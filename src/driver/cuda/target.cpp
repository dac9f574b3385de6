// A GPU as compile and calibrate see it.
#include <fmt/format.h>

#include "cuda/device.h"
#include "cuda/library.h"
#include "driver/cuda/family.h"
#include "driver/cuda/gpu_measurer.h"
#include "kernels/cuda/gpu_kernel.h"

namespace cross::driver::cuda {
namespace {

ProfileKey key_of(const cross::cuda::DeviceInfo& device) {
  return {"cuda",
          device.name,
          fmt::format("sm{}", device.sm()),
          device.sms,
          kernels::cuda::gpu_table_version,
          fmt::format("cublaslt {}, driver {}.{}", cross::cuda::library_version(), device.driver / 1000,
                      device.driver % 1000 / 10)};
}

}  // namespace

ProfileKey profile_key(int index) { return key_of(cross::cuda::require_device(index)); }

Target open_target(int index) {
  const cross::cuda::DeviceInfo device = cross::cuda::require_device(index);
  Target target;
  target.key = key_of(device);
  target.family.target = {device.sms, device.shared_bytes};
  for (const Format format : gpu_formats)
    if (const auto* kernel = kernels::cuda::gpu_kernel_for(format, device.major, device.minor))
      target.family.max_tokens[format] = kernel->max_tokens;
  target.description = fmt::format("{}, sm{}, {} SMs", device.name, device.sm(), device.sms);
  target.sm = device.sm();
  target.sms = device.sms;
  target.measurer = std::make_unique<GpuMeasurer>(device);
  return target;
}

}  // namespace cross::driver::cuda
