// Columns of activations gathered for two_four_overflow: what its further blocks multiply.
#pragma once

#include <cstddef>
#include <cstdint>

namespace cross::kernels::cuda {

/// Bytes of the gathered columns.
std::size_t gathered_bytes(std::int64_t tokens, std::int64_t chunks);

/// Whether rows of `cols` fit into the shared memory that gathering needs.
bool gather_takes(std::int64_t cols);

/// out[chunk, token, place] = x[token, column[chunk, place]], 64 places a chunk; cols a multiple of 8. Lets
/// its successor start once x is there. Enqueues; returns a cudaError_t.
int enqueue_gathered(const void* x, void* out, const std::uint32_t* column, std::int64_t chunks,
                     std::int64_t tokens, std::int64_t cols, void* stream, bool overlap);

}  // namespace cross::kernels::cuda
