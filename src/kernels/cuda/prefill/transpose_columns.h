// x column by column, for products that gather columns of it.
#pragma once

#include <cstddef>
#include <cstdint>

namespace cross::kernels::cuda {

inline constexpr int transposed_tokens = 64;  ///< of a block
inline constexpr int transposed_column_bytes = transposed_tokens * 2;

constexpr std::int64_t transposed_blocks(std::int64_t tokens) {
  return (tokens + transposed_tokens - 1) / transposed_tokens;
}
inline constexpr int transposed_strip_cols = 32;  ///< of a warp

constexpr std::int64_t transposed_strips(std::int64_t cols) {
  return (cols + transposed_strip_cols - 1) / transposed_strip_cols;
}
/// Bytes of the columns. @param cols  as x has them in memory
constexpr std::size_t transposed_bytes(std::int64_t tokens, std::int64_t cols) {
  return static_cast<std::size_t>(transposed_blocks(tokens) * cols) * transposed_column_bytes;
}

/// How a column's units of eight tokens, 16 bytes, stand.
enum class ColumnUnits {
  in_order,
  spread,  ///< unit i of column c at i xor (c mod 8): columns of different c mod 8 have the same tokens in
           ///< different banks of shared memory
};

/// out[block of 64 tokens][column][64 tokens] = x[token, column] for the columns that `wanted` has a bit of,
/// on the device, or for all of them where it is nullptr; cols a multiple of 8, bits up to the next multiple
/// of 32. Past the last token any finite or other values. Lets its successor start once x is there. Enqueues;
/// returns a cudaError_t.
int enqueue_transposed(const void* x, void* out, const std::uint32_t* wanted, ColumnUnits units,
                       std::int64_t tokens, std::int64_t cols, void* stream, bool overlap);

}  // namespace cross::kernels::cuda
