// X in shared memory as it lies in global memory, token by token, for ldmatrix to read B fragments from.
#pragma once

#include "kernels/cuda/ptx.cuh"

namespace cross::kernels::cuda {

/// X in shared memory: chunks of 64 columns, in a chunk 128 bytes a token, their eight 16-byte pieces
/// exchanged by token (the 128-byte swizzle that tensor cores know). So ldmatrix and wgmma read without bank
/// conflicts.
struct ResidentActivations {
  std::uint32_t base = 0;         ///< shared address, a multiple of 1024
  std::uint32_t chunk_bytes = 0;  ///< 128 · padded tokens

  static constexpr int chunk_columns = 64;
  /// Bytes of `extent` columns (a multiple of 64) of `tokens` tokens (a multiple of 8).
  __host__ __device__ static constexpr std::size_t bytes(std::int64_t extent, int tokens) {
    return static_cast<std::size_t>(extent) * 2 * static_cast<std::size_t>(tokens);
  }
  __device__ __forceinline__ std::uint32_t at(int token, int column) const {
    return base + static_cast<std::uint32_t>(column >> 6) * chunk_bytes +
           static_cast<std::uint32_t>(token) * 128 +
           static_cast<std::uint32_t>(((column >> 3 ^ token) & 7) * 16 + (column & 7) * 2);
  }
};

/// Starts copying columns [k0, k0 + extent) of x[tokens, cols] to shared memory, zeros past the last column
/// and, up to `padded_tokens` (a power of two), past the last token. k0 and extent are multiples of 64. All
/// threads of the block take part; each then waits for its own copies (wait_copies<0>), and the block
/// synchronises. Not bulk copies: those would queue behind all weights that are already on their way.
template <class T>
__device__ __forceinline__ void load_resident_activations(const ResidentActivations& shared, const T* x,
                                                          std::int64_t cols, std::int64_t k0, int extent,
                                                          int tokens, int padded_tokens) {
  const int width = static_cast<int>(min(static_cast<long long>(extent), static_cast<long long>(cols - k0)));
  const bool aligned = cols % 8 == 0 && (reinterpret_cast<std::uintptr_t>(x) & 15) == 0;
  // A warp takes 256 columns of one token at a time; no division on the way from one to the next.
  const int lane = static_cast<int>(threadIdx.x & 31), warp = static_cast<int>(threadIdx.x >> 5);
  const int warps = static_cast<int>(blockDim.x >> 5);
  const int pieces = (extent + 255) / 256;
  const int tokens_on = warps / pieces, pieces_on = warps % pieces;
  int n = warp / pieces, piece = warp % pieces;
  // Every CTA begins with another token: if all read the same lines of L2 at once, they wait for each other.
  const int first = static_cast<int>(blockIdx.x) * 5 & (padded_tokens - 1);
#pragma unroll 1
  for (; n < padded_tokens; n += tokens_on, piece += pieces_on) {
    if (piece >= pieces) {
      piece -= pieces;
      if (++n >= padded_tokens) break;
    }
    const int k = piece * 256 + lane * 8;
    if (k >= extent) continue;
    const int token = (n + first) & (padded_tokens - 1);
    const std::uint32_t to = shared.at(token, k);
    if (token >= tokens || k >= width) {
      store_shared16(to, make_uint4(0, 0, 0, 0));
    } else if (aligned) {
      asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(to), "l"(x + token * cols + k0 + k)
                   : "memory");
    } else {
      const auto* from = reinterpret_cast<const std::uint16_t*>(x) + token * cols + k0 + k;
      std::uint32_t half[8];
#pragma unroll
      for (int j = 0; j < 8; ++j) half[j] = k + j < width ? from[j] : 0u;
      store_shared16(to, make_uint4(half[0] | half[1] << 16, half[2] | half[3] << 16, half[4] | half[5] << 16,
                                    half[6] | half[7] << 16));
    }
  }
  commit_copies();
}

}  // namespace cross::kernels::cuda
