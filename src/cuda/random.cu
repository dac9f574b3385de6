#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime_api.h>

#include "cuda/error.h"
#include "cuda/random.h"

namespace cross::cuda {
namespace {

/// A bijective mix of 64 bits: neighbouring positions give unrelated values.
__device__ std::uint64_t mixed(std::uint64_t v) {
  v += 0x9e3779b97f4a7c15u;
  v = (v ^ (v >> 30)) * 0xbf58476d1ce4e5b9u;
  v = (v ^ (v >> 27)) * 0x94d049bb133111ebu;
  return v ^ (v >> 31);
}

__device__ void store(float* at, float value) { *at = value; }
__device__ void store(__half* at, float value) { *at = __float2half_rn(value); }
__device__ void store(__nv_bfloat16* at, float value) { *at = __float2bfloat16_rn(value); }

template <class T>
__global__ void random_values(T* out, std::int64_t count, std::uint64_t threshold, std::uint64_t seed) {
  const std::int64_t stride = static_cast<std::int64_t>(gridDim.x) * blockDim.x;
  for (std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < count;
       i += stride) {
    const std::uint64_t bits = mixed(seed * 0x632be59bd9b4e019u + static_cast<std::uint64_t>(i));
    const float magnitude = 0.0625f + 0.9375f * static_cast<float>(bits >> 41 & 0x3fffffu) * 0x1p-22f;
    const bool kept = (bits & 0xffffffffu) < threshold;
    store(out + i, kept ? ((bits >> 63) != 0 ? -magnitude : magnitude) : 0.0f);
  }
}

template <class T>
void launch(const DeviceBuffer& buffer, std::int64_t count, std::uint64_t threshold, std::uint64_t seed) {
  random_values<<<2048, 256>>>(reinterpret_cast<T*>(buffer.data()), count, threshold, seed);
}

}  // namespace

void fill_random(const DeviceBuffer& buffer, DType dtype, std::int64_t count, double density,
                 std::uint64_t seed) {
  if (count == 0) return;
  const auto threshold = static_cast<std::uint64_t>(density * 4294967296.0);
  if (dtype == DType::fp32)
    launch<float>(buffer, count, threshold, seed);
  else if (dtype == DType::fp16)
    launch<__half>(buffer, count, threshold, seed);
  else
    launch<__nv_bfloat16>(buffer, count, threshold, seed);
  check(cudaGetLastError(), "making random values");
  check(cudaStreamSynchronize(nullptr), "making random values");
}

}  // namespace cross::cuda
