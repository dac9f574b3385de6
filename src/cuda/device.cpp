#include "cuda/device.h"

#include <cuda_runtime_api.h>
#include <fmt/format.h>

#include "cross/error.h"
#include "cuda/error.h"

namespace cross::cuda {
namespace {

/// Our oldest kernels: tensor-core products on 16-bit values and asynchronous copies.
constexpr int least_major = 8;

std::size_t attribute(cudaDeviceAttr which, int device) {
  int value = 0;
  check(cudaDeviceGetAttribute(&value, which, device), "asking for the GPU's properties");
  return static_cast<std::size_t>(value);
}

DeviceInfo describe(int index) {
  cudaDeviceProp properties{};
  check(cudaGetDeviceProperties(&properties, index), "asking for the GPU's properties");
  DeviceInfo info;
  info.index = index;
  info.name = properties.name;
  info.major = properties.major;
  info.minor = properties.minor;
  info.sms = properties.multiProcessorCount;
  info.shared_bytes = attribute(cudaDevAttrMaxSharedMemoryPerBlockOptin, index);
  info.l2_bytes = attribute(cudaDevAttrL2CacheSize, index);
  info.memory_bytes = properties.totalGlobalMem;
  cudaDriverGetVersion(&info.driver);
  return info;
}

/// Why there is no GPU to use, or empty. @param count receives how many there are.
std::string trouble(int& count) {
  count = 0;
  const cudaError_t status = cudaGetDeviceCount(&count);
  if (status == cudaSuccess && count > 0) return {};
  cudaGetLastError();
  count = 0;
  int driver = 0;
  cudaDriverGetVersion(&driver);
  constexpr int runtime = CUDART_VERSION;
  if (status == cudaErrorInsufficientDriver || driver == 0)
    return driver == 0 ? fmt::format("no NVIDIA driver answers; install one that supports CUDA {} or later",
                                     runtime / 1000)
                       : fmt::format("the NVIDIA driver supports CUDA {}.{}; this build needs {}.{}",
                                     driver / 1000, driver % 1000 / 10, runtime / 1000, runtime % 1000 / 10);
  if (status == cudaSuccess || status == cudaErrorNoDevice)
    return "the NVIDIA driver sees no GPU (CUDA_VISIBLE_DEVICES may hide it)";
  return fmt::format("the NVIDIA driver fails: {}", cudaGetErrorString(status));
}

}  // namespace

std::vector<DeviceInfo> devices() {
  int count = 0;
  std::vector<DeviceInfo> all;
  if (trouble(count).empty())
    for (int index = 0; index < count; ++index) all.push_back(describe(index));
  return all;
}

DeviceInfo require_device(int index) {
  constexpr std::string_view needed =
      "CROSS needs an NVIDIA GPU of compute capability 8.0 or later (A100, H100, …)";
  int count = 0;
  if (const std::string why = trouble(count); !why.empty())
    throw DeviceError(fmt::format("--device cuda:{}: {}; {}", index, why, needed));
  if (index < 0 || index >= count)
    throw DeviceError(fmt::format("--device cuda:{}: this machine has {} GPU{}, the last is cuda:{}", index,
                                  count, count == 1 ? "" : "s", count - 1));
  const DeviceInfo info = describe(index);
  if (info.major < least_major)
    throw DeviceError(fmt::format("--device cuda:{}: {} has compute capability {}.{}; {}", index, info.name,
                                  info.major, info.minor, needed));
  return info;
}

CurrentDevice::CurrentDevice(int index) {
  check(cudaGetDevice(&former_), "asking for the current GPU");
  check(cudaSetDevice(index), "choosing the GPU");
}

CurrentDevice::~CurrentDevice() { cudaSetDevice(former_); }

}  // namespace cross::cuda
