// X in shared memory as B fragments of mma.sp k32 want it: blocks of 128 columns, in a block one 256-byte row
// a token, its 16-byte pieces permuted so that eight tokens' same piece meet eight different banks.
//
// Groups of four columns stand in the order in which two_four's lanes hold weights: group 16 h + 4 t + n of a
// block is slot 4 h + t of step n.
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
  /// Byte offset of a column of a block.
  __device__ static std::uint32_t column_offset(int block, int token, int column) {
    const int piece = (column >> 2 & 3) * 4 + (column >> 6) * 2 + (column >> 5 & 1);
    return offset(block, token, piece) + static_cast<std::uint32_t>((column >> 4 & 1) * 8 + (column & 3) * 2);
  }
  /// The address of a step's pieces from that of step 0's: four pieces on, through the permutation.
  __device__ static std::uint32_t step(std::uint32_t address, int s) {
    return (s % 2 == 0 ? address : address ^ 64) + static_cast<std::uint32_t>(s / 2 * 128);
  }

  /// Copies columns [k_begin, k_begin + 128 · blocks) of x[count, cols]; zeros where the matrix ends. What
  /// stands in the places of tokens past the last is multiplied for outputs that nobody stores. All `threads`
  /// threads of the block take part; the caller synchronises.
  /// @return whether this thread met Inf or NaN
  template <int threads, class T>
  __device__ static bool load(std::uint32_t shared, const T* x, std::int64_t cols, std::int64_t k_begin,
                              int blocks, int count) {
    // Rows of x are 16-byte aligned only if their length is a multiple of 8.
    if (cols % 8 == 0 && (reinterpret_cast<std::uintptr_t>(x) & 15) == 0)
      return copy<T, threads / 32, 4>(shared, k_begin, blocks, count, cols, [&](int token, std::int64_t k) {
        return __ldg(reinterpret_cast<const uint4*>(x + token * cols + k));
      });
    return copy<T, threads / 32, 1>(shared, k_begin, blocks, count, cols, [&](int token, std::int64_t k) {
      return load_unaligned(
          reinterpret_cast<const unsigned short*>(x + token * cols + k),
          static_cast<int>(min(static_cast<long long>(8), static_cast<long long>(cols - k))));
    });
  }

 private:
  /// A warp copies two blocks of a token at a time, a lane eight columns: where they go depends on the lane
  /// but for a few bits.
  /// @param batch  loads in flight a thread
  template <class T, int warps, int batch, class Load>
  __device__ static bool copy(std::uint32_t shared, std::int64_t k_begin, int blocks, int count,
                              std::int64_t cols, Load load) {
    const int lane = static_cast<int>(threadIdx.x) & 31, warp = static_cast<int>(threadIdx.x) >> 5;
    const int pairs = max((blocks + 1) / 2, 1);  // a split may have no block
    const int next_tokens = warps / pairs, next_pairs = warps - next_tokens * pairs;
    int token = warp / pairs, pair = warp - token * pairs;
    const std::uint32_t lane_to = shared + column_offset(lane >> 4, 0, (lane & 15) * 8);
    std::uint32_t signs = 0;
#pragma unroll 1
    while (token < count) {
      uint4 v[batch];
      std::uint32_t to[batch];
      bool there[batch];
#pragma unroll
      for (int i = 0; i < batch; ++i) {
        const std::int64_t k = k_begin + pair * 256 + lane * 8;
        there[i] = token < count && 2 * pair + (lane >> 4) < blocks;
        v[i] = make_uint4(0, 0, 0, 0);
        if (there[i] && k < cols) v[i] = load(token, k);
        to[i] = (lane_to ^ static_cast<std::uint32_t>((token & 7) << 4)) +
                static_cast<std::uint32_t>(pair * 2 * block_bytes + token * 256);
        token += next_tokens;
        pair += next_pairs;
        if (pair >= pairs) {
          pair -= pairs;
          ++token;
        }
      }
#pragma unroll
      for (int i = 0; i < batch; ++i) {
        if (there[i]) store(to[i], v[i], lane % 2 != 0);
        signs |= non_finite_signs<T>(v[i].x) | non_finite_signs<T>(v[i].y) | non_finite_signs<T>(v[i].z) |
                 non_finite_signs<T>(v[i].w);
      }
    }
    return (signs & 0x80008000u) != 0;
  }

  /// Two groups: of steps n and n + 1. Neighbours' groups of steps 0 and 2, and of 1 and 3, share banks:
  /// every other lane begins with the second.
  __device__ static void store(std::uint32_t to, const uint4& v, bool second_first) {
    const uint2 low = make_uint2(v.x, v.y), high = make_uint2(v.z, v.w);
    store_shared8(second_first ? to ^ 64 : to, second_first ? high : low);
    store_shared8(second_first ? to : to ^ 64, second_first ? low : high);
  }
};

}  // namespace cross::kernels::cuda
