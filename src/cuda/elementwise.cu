// Bound by memory (fp32 in, dtype out), so one element a thread and no further thought.
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime_api.h>

#include "cuda/elementwise.h"
#include "cuda/error.h"

namespace cross::cuda {
namespace {

constexpr int block_threads = 256;
constexpr std::int64_t most_blocks = 1 << 16;

__device__ float activated(float x, Activation activation) {
  switch (activation) {
    case Activation::none:
      return x;
    case Activation::relu:
      return x > 0.0f || isnan(x) ? x : 0.0f;
    case Activation::gelu:
      return 0.5f * x * (1.0f + erff(x * 0.70710678118654752f));
    case Activation::gelu_tanh:
      return 0.5f * x * (1.0f + tanhf(0.79788456080286536f * (x + 0.044715f * x * x * x)));
    case Activation::silu:
      return x / (1.0f + expf(-x));
  }
  return x;
}

__device__ float widened(float value) { return value; }
__device__ float widened(__half value) { return __half2float(value); }
__device__ float widened(__nv_bfloat16 value) { return __bfloat162float(value); }

__device__ void store(float* at, float value) { *at = value; }
__device__ void store(__half* at, float value) { *at = __float2half_rn(value); }
__device__ void store(__nv_bfloat16* at, float value) { *at = __float2bfloat16_rn(value); }

template <class T>
__global__ void elementwise(const ElementwiseArgs args) {
  const std::int64_t count = args.rows * args.tokens;
  const std::int64_t stride = static_cast<std::int64_t>(gridDim.x) * block_threads;
  for (std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * block_threads + threadIdx.x; i < count;
       i += stride) {
    float value = args.acc[i];
    if (args.bias != nullptr) value += args.bias[i % args.rows];
    value = activated(value, args.activation);
    if (args.residual != nullptr) value += widened(static_cast<const T*>(args.residual)[i]);
    store(static_cast<T*>(args.y) + i, value);
  }
}

template <class T>
void launch(const ElementwiseArgs& args, cudaStream_t stream) {
  const std::int64_t blocks = (args.rows * args.tokens + block_threads - 1) / block_threads;
  elementwise<T>
      <<<static_cast<unsigned>(blocks < most_blocks ? blocks : most_blocks), block_threads, 0, stream>>>(
          args);
  check(cudaGetLastError(), "enqueuing an epilogue");
}

}  // namespace

void enqueue_elementwise(const ElementwiseArgs& args, void* stream) {
  if (args.rows == 0 || args.tokens == 0) return;
  const auto on = static_cast<cudaStream_t>(stream);
  switch (args.dtype) {
    case DType::fp32:
      return launch<float>(args, on);
    case DType::fp16:
      return launch<__half>(args, on);
    case DType::bf16:
      return launch<__nv_bfloat16>(args, on);
  }
}

}  // namespace cross::cuda
