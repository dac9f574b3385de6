// The A operand of a step on sparse tensor cores.
#pragma once

#include "kernels/cuda/prefill/wgmma_sparse.cuh"

namespace cross::kernels::cuda {

/// 32 columns of the warp's 16 rows, two of every four kept.
struct SparseOperand {
  std::uint32_t a[4];
  std::uint32_t metadata;
  __device__ __forceinline__ void hold() {
    hold_registers(a);
    hold_metadata(metadata);
  }
};

}  // namespace cross::kernels::cuda
