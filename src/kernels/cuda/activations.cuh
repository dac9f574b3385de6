// X in shared memory as tensor cores gather it: planes of eight tokens, one 16-byte row per column of W.
#pragma once

#include "kernels/cuda/ptx.cuh"

namespace cross::kernels::cuda {

__device__ __forceinline__ std::uint32_t word(const uint4& v, int i) {
  return i == 0 ? v.x : i == 1 ? v.y : i == 2 ? v.z : v.w;
}

/// Up to eight 16-bit values from any address, zeros after them.
__device__ __forceinline__ uint4 load_unaligned(const unsigned short* at, int count) {
  std::uint32_t half[8];
#pragma unroll
  for (int i = 0; i < 8; ++i) half[i] = i < count ? __ldg(at + i) : 0u;
  return make_uint4(half[0] | half[1] << 16, half[2] | half[3] << 16, half[4] | half[5] << 16,
                    half[6] | half[7] << 16);
}

/// Position of a column: rows of X are permuted inside eights so that eight neighbouring stores and any
/// gather of rows with distinct positions modulo 8 meet eight different banks.
__device__ __forceinline__ int row_position(int k) { return (k & ~7) | ((k ^ (k >> 3)) & 7); }

/// Copies columns [k_begin, k_begin + extent) of x[tokens, cols] to shared memory as [planes][stride][8
/// tokens], rows at their positions; tokens past the last and columns up to the next multiple of 8 as zeros.
/// All threads of the block take part; the caller synchronises. `stride` is a multiple of 8.
/// @return whether this thread met Inf or NaN
template <class T, int planes>
__device__ __forceinline__ bool load_activations(std::uint32_t shared, const T* x, std::int64_t cols,
                                                 std::int64_t k_begin, int extent, int stride, int tokens) {
  bool non_finite = false;
  // Rows of X are 16-byte aligned only if their length is a multiple of 8; k_begin is one.
  const bool aligned = cols % 8 == 0 && (reinterpret_cast<std::uintptr_t>(x) & 15) == 0;
#pragma unroll 1
  for (int p = 0; p < planes; ++p) {
    for (int k = 8 * static_cast<int>(threadIdx.x); k < extent; k += 8 * static_cast<int>(blockDim.x)) {
      uint4 v[8];  // token n: eight columns
#pragma unroll
      for (int n = 0; n < 8; ++n) {
        v[n] = make_uint4(0, 0, 0, 0);
        if (8 * p + n >= tokens) continue;
        const T* at = x + (8 * p + n) * cols + k_begin + k;
        if (aligned)
          v[n] = __ldg(reinterpret_cast<const uint4*>(at));
        else
          v[n] = load_unaligned(reinterpret_cast<const unsigned short*>(at), min(8, extent - k));
        non_finite |= any_non_finite<T>(v[n].x) || any_non_finite<T>(v[n].y) || any_non_finite<T>(v[n].z) ||
                      any_non_finite<T>(v[n].w);
      }
#pragma unroll
      for (int c = 0; c < 8; ++c) {  // column k + c: eight tokens
        const std::uint32_t select = c % 2 == 0 ? 0x5410 : 0x7632;
        const auto pair = [&](int n) {
          return __byte_perm(word(v[n], c / 2), word(v[n + 1], c / 2), select);
        };
        store_shared16(shared + static_cast<std::uint32_t>((p * stride + row_position(k + c)) * 16),
                       make_uint4(pair(0), pair(2), pair(4), pair(6)));
      }
    }
  }
  return non_finite;
}

}  // namespace cross::kernels::cuda
