#include "kernels/cuda/prefill/at_few_tokens.h"
#include "kernels/cuda/prefill/block_tiles.cuh"
#include "kernels/cuda/rows.h"

namespace cross::kernels::cuda {

GpuKernel block_tiles_sm90() {
  return prefill_at_any_tokens<block_tiles_refuses, block_tiles_scratch, block_tiles_launch>(
      Format::block_tiles, 64, prefill_most_tokens);
}

}  // namespace cross::kernels::cuda
