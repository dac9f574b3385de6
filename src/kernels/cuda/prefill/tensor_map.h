// Tensor maps of the copy engine (sm90), encoded on the host by the driver.
#pragma once

#include <cuda.h>

#include <cstdint>

#include "cross/dtype.h"

namespace cross::kernels::cuda {

/// x[tokens, cols] of a 16-bit dtype in boxes of 64 columns and `box_tokens` tokens (at most 256), each
/// written to shared memory as 128 bytes a token with the 128-byte swizzle; zeros where the matrix ends. `x`
/// and 2 · cols are multiples of 16 bytes. Returns a cudaError_t.
int encode_tokens(CUtensorMap& map, const void* x, DType dtype, std::int64_t tokens, std::int64_t cols,
                  int box_tokens);

}  // namespace cross::kernels::cuda
