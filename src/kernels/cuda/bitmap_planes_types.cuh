// What a launch of bitmap_planes is given, and the sizes that one kernel instance is made for.
#pragma once

#include "kernels/cuda/bitmap_planes_decode.cuh"
#include "kernels/cuda/epilogue.cuh"
#include "kernels/cuda/gpu_kernel.h"

namespace cross::kernels::cuda::CROSS_GPU_ARCH {

using formats::gpu::bitmap_planes_align;
using formats::gpu::bitmap_planes_cols;
using formats::gpu::bitmap_planes_steps;

/// Ring places of a warp, at most.
inline constexpr int bitmap_max_depth = 8;

/// `count` things shared evenly: the first ones get one more. Made on the host, because divisions take
/// hundreds of clocks at the start of a kernel.
struct EvenShares {
  std::int32_t each = 0, more = 0;
  EvenShares() = default;
  __host__ __device__ constexpr EvenShares(int count, int shares)
      : each(count / shares), more(count % shares) {}
  __host__ __device__ constexpr int begin(int share) const {
    return share * each + (share < more ? share : more);
  }
};

template <class T>
struct BitmapPlanesParams {
  const std::uint32_t* index;
  const std::byte* blocks;
  const T* x;
  float4* slots;            ///< cut tiles, where shared memory has no room for them
  float4* partial;          ///< [shares][slices][fragments], slices > 1 only
  std::uint32_t* counters;  ///< [shares / shares_per_counter], zero between runs
  EpilogueArgs<T> epilogue;
  std::int64_t cols;
  std::int32_t tokens;
  std::int32_t k_blocks;
  std::int32_t groups;                ///< of `group_tiles` tiles
  EvenShares group_shares, k_shares;  ///< groups over parts, blocks along K over slices
  std::int32_t slices;
  std::int32_t shares_per_counter;
  std::int32_t depth;
  std::uint32_t place_bytes;  ///< ring place of one block
  std::uint32_t x_chunks;     ///< of 64 columns, in shared memory
  bool weights_first;         ///< X is still being written by the kernel before
  DecodeFactors factors;
};

/// What a warp holds of one group of tiles: row lane / 4 (+ 8), tokens 2 (lane mod 4) and the next, of every
/// eight.
template <int row_tiles, int eights>
struct TileSums {
  float v[row_tiles][eights][4];
  static constexpr int quads = row_tiles * eights;  ///< float4s of a lane
};

/// What one kernel instance is made for.
/// @tparam row_tiles  tiles that a warp works on at once, sharing the fragments of X
/// @tparam eights     tokens / 8
/// @tparam together   warps that work side by side on the tiles of one group: 4 (a warp group) multiply by
/// wgmma, which
///                    reads X from shared memory once for all of them; 1 by mma
template <int row_tiles_, int eights_, int warps_, int together_>
struct BitmapTile {
  static constexpr int row_tiles = row_tiles_, eights = eights_, warps = warps_, together = together_;
  static constexpr int workers = warps / together;
  static constexpr int group_tiles = row_tiles * together;
  static constexpr bool slots_in_shared = eights <= 4;
  static constexpr std::size_t slot_bytes = std::size_t{row_tiles} * eights * 32 * sizeof(float4);
  static constexpr std::size_t barriers_bytes = std::size_t{warps} * bitmap_max_depth * 8;
  /// Shared memory besides X and the rings: cut tiles, barriers, and what the last window sees past its
  /// block.
  static constexpr std::size_t fixed_bytes =
      (slots_in_shared ? warps * slot_bytes : 0) + barriers_bytes + 128;
};

/// Called, not inlined: a lane stores up to 64 outputs.
template <class T>
__device__ __noinline__ void store_output_called(const EpilogueArgs<T>& e, std::int64_t row,
                                                 std::int64_t token, float sum) {
  store_output(e, row, token, sum);
}

}  // namespace cross::kernels::cuda::CROSS_GPU_ARCH
