#include "kernels/cuda/prefill/block_tiles.cuh"
#include "kernels/cuda/rows.h"

namespace cross::kernels::cuda {

GpuKernel block_tiles_sm90() {
  return {Format::block_tiles,
          "sm90",
          64,
          block_tiles_refuses,
          block_tiles_workspace,
          block_tiles_launch_after_counters,
          nullptr,
          {prefill_most_tokens, block_tiles_refuses, block_tiles_scratch, block_tiles_launch}};
}

}  // namespace cross::kernels::cuda
