// Products of split_blocks that fill the GPU for long: a launch that splits x, then one persistent kernel.
#pragma once

#include <cstddef>

#include "kernels/cuda/rows.h"
#include "plan/formats/gpu/split_blocks.h"

namespace cross::kernels::cuda::split_blocks_wide {

/// Bytes of shared memory that a CTA needs.
std::size_t shared_memory();

/// Of 128x64, in the mean.
double entries_a_block(const formats::gpu::SplitBlocksHeader& header);

/// Predicted µs, on the scale of the other tiles of split_blocks.
double predicted_us(const formats::gpu::SplitBlocksHeader& header, std::int64_t tokens, int sms);

/// Bytes of workspace, counters first.
std::size_t workspace(const formats::gpu::SplitBlocksHeader& header, std::int64_t tokens, int sms);

/// Enqueues both kernels. Returns a cudaError_t.
int launch(const formats::gpu::SplitBlocksHeader& header, const PackedMatrix& matrix, const GpuArgs& args,
           int sms);

}  // namespace cross::kernels::cuda::split_blocks_wide
