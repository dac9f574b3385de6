// The rows of the CUDA kernel table, one per kernel and architecture.
#pragma once

#include "kernels/cuda/gpu_kernel.h"

namespace cross::kernels::cuda {

GpuKernel bitmap_planes_sm80();
GpuKernel bitmap_planes_sm90();
GpuKernel cross_panels_sm90();
GpuKernel block_tiles_sm90();
GpuKernel split_blocks_sm90();
GpuKernel delta4_sm80();
GpuKernel delta4_sm90();
GpuKernel delta8_sm80();
GpuKernel delta8_sm90();
GpuPrefill bitmap_planes_prefill();  ///< sm90
GpuPrefill two_four_prefill();       ///< sm90
GpuKernel two_four_sm80();
GpuKernel two_four_sm90();
GpuKernel two_four_overflow_sm90();
GpuKernel column_vectors_sm90();
GpuKernel row_lists_sm90();

}  // namespace cross::kernels::cuda
