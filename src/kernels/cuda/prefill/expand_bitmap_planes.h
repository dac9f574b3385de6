// bitmap_planes weights made dense by the copy engine's stores.
#pragma once

#include "kernels/cuda/gpu_kernel.h"

namespace cross::kernels::cuda {

/// Whether the copy engine can store rows of `cols` 16-bit weights: they begin at multiples of 16 bytes.
constexpr bool expands_by_copies(std::int64_t cols) { return cols % 8 == 0; }

/// out[rows, cols] = W, dense; out 256-byte aligned. Enqueues; returns a cudaError_t.
int enqueue_expanded_bitmap_planes(const PackedMatrix& matrix, void* out, void* stream);

}  // namespace cross::kernels::cuda
