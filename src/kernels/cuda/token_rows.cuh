// X in shared memory as B fragments of mma k32 want it: blocks of 128 columns, in a block one 256-byte row a
// token, its 16-byte pieces permuted so that eight tokens' same piece meet eight different banks.
#pragma once

#include "kernels/cuda/activations.cuh"

namespace cross::kernels::cuda {

template <int planes>
struct TokenRows {
  static constexpr int tokens = 8 * planes;
  static constexpr int block_bytes = tokens * 256;

  /// Byte offset of 16-byte piece `piece` (0 … 15) of a token in a block.
  __device__ static std::uint32_t offset(int block, int token, int piece) {
    return static_cast<std::uint32_t>(block * block_bytes + token * 256 + ((piece ^ (token & 7)) << 4));
  }
  /// The address of a step's pieces from that of step 0's: four pieces on, through the permutation.
  __device__ static std::uint32_t step(std::uint32_t address, int s) {
    return (s % 2 == 0 ? address : address ^ 64) + static_cast<std::uint32_t>(s / 2 * 128);
  }

  /// Copies columns [k_begin, k_begin + 128 · blocks) of x[count, cols]; zeros where the matrix or its tokens
  /// end. All `threads` threads of the block take part; the caller synchronises.
  /// @return whether this thread met Inf or NaN
  template <int threads, class T>
  __device__ static bool load(std::uint32_t shared, const T* x, std::int64_t cols, std::int64_t k_begin,
                              int blocks, int count) {
    // Rows of x are 16-byte aligned only if their length is a multiple of 8.
    if (cols % 8 == 0 && (reinterpret_cast<std::uintptr_t>(x) & 15) == 0)
      return copy<T, threads, 4>(shared, k_begin, blocks, count, cols, [&](int token, std::int64_t k) {
        return __ldg(reinterpret_cast<const uint4*>(x + token * cols + k));
      });
    return copy<T, threads, 1>(shared, k_begin, blocks, count, cols, [&](int token, std::int64_t k) {
      return load_unaligned(
          reinterpret_cast<const unsigned short*>(x + token * cols + k),
          static_cast<int>(min(static_cast<long long>(8), static_cast<long long>(cols - k))));
    });
  }

 private:
  /// @param batch  loads in flight a thread
  template <class T, int threads, int batch, class Load>
  __device__ static bool copy(std::uint32_t shared, std::int64_t k_begin, int blocks, int count,
                              std::int64_t cols, Load load) {
    const auto pieces = static_cast<std::uint32_t>(blocks) * 16;
    const std::uint32_t all = tokens * pieces;
    std::uint32_t signs = 0;
#pragma unroll 1
    for (std::uint32_t first = threadIdx.x; first < all; first += batch * threads) {
      uint4 v[batch];
      std::uint32_t to[batch];
#pragma unroll
      for (int i = 0; i < batch; ++i) {
        const std::uint32_t index = first + static_cast<std::uint32_t>(i * threads);
        const std::uint32_t token = index / pieces, piece = index - token * pieces;
        const std::int64_t k = k_begin + piece * 8;
        v[i] = make_uint4(0, 0, 0, 0);
        to[i] = shared +
                offset(static_cast<int>(piece >> 4), static_cast<int>(token), static_cast<int>(piece & 15));
        if (static_cast<int>(token) < count && k < cols) v[i] = load(static_cast<int>(token), k);
      }
#pragma unroll
      for (int i = 0; i < batch; ++i) {
        if (first + static_cast<std::uint32_t>(i * threads) < all) store_shared16(to[i], v[i]);
        signs |= non_finite_signs<T>(v[i].x) | non_finite_signs<T>(v[i].y) | non_finite_signs<T>(v[i].z) |
                 non_finite_signs<T>(v[i].w);
      }
    }
    return (signs & 0x80008000u) != 0;
  }
};

}  // namespace cross::kernels::cuda
