// Activations whose rows do not begin at multiples of 16 bytes, copied to where they do: tensor copies need
// that.
#pragma once

#include <cstddef>
#include <cstdint>

namespace cross::kernels::cuda {

inline constexpr std::int64_t tensor_row_unit = 8;  ///< 16-bit columns

constexpr std::int64_t padded_cols(std::int64_t cols) {
  return (cols + tensor_row_unit - 1) / tensor_row_unit * tensor_row_unit;
}
/// Bytes that the copy needs; 0 where none is needed.
constexpr std::size_t padded_bytes(std::int64_t tokens, std::int64_t cols) {
  return cols % tensor_row_unit == 0 ? 0 : static_cast<std::size_t>(tokens * padded_cols(cols)) * 2;
}
/// Where scratch may go on behind the copy: a multiple of 256 bytes.
constexpr std::size_t behind_padded(std::int64_t tokens, std::int64_t cols) {
  return (padded_bytes(tokens, cols) + 255) / 256 * 256;
}
/// out[tokens, padded_cols(cols)] = x[tokens, cols], zeros past the last column. Enqueues; returns a
/// cudaError_t.
int enqueue_padded(const void* x, void* out, std::int64_t tokens, std::int64_t cols, void* stream);

}  // namespace cross::kernels::cuda
