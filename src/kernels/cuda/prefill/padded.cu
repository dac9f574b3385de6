#include <algorithm>

#include "kernels/cuda/launch.h"
#include "kernels/cuda/prefill/padded.h"

namespace cross::kernels::cuda {
namespace {

constexpr int pad_threads = 256;

__global__ void __launch_bounds__(pad_threads)
    pad_kernel(const std::uint16_t* x, std::uint16_t* out, std::int64_t cols, std::int64_t padded,
               std::int64_t count) {
  const std::int64_t stride = static_cast<std::int64_t>(gridDim.x) * pad_threads;
  for (std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * pad_threads + threadIdx.x; i < count;
       i += stride) {
    const std::int64_t token = i / padded, col = i - token * padded;
    out[i] = col < cols ? x[token * cols + col] : std::uint16_t{0};
  }
}

}  // namespace

int enqueue_padded(const void* x, void* out, std::int64_t tokens, std::int64_t cols, void* stream) {
  constexpr std::int64_t most_blocks = 2048;
  const std::int64_t count = tokens * padded_cols(cols);
  const auto blocks = static_cast<int>(std::min((count + pad_threads - 1) / pad_threads, most_blocks));
  return launch(pad_kernel, blocks, pad_threads, 0, stream, false, static_cast<const std::uint16_t*>(x),
                static_cast<std::uint16_t*>(out), cols, padded_cols(cols), count);
}

}  // namespace cross::kernels::cuda
