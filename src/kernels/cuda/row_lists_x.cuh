// x of row_lists: from rows of tokens in memory to columns of 32 tokens in shared memory.
#pragma once

#include "kernels/cuda/row_lists_types.cuh"

namespace cross::kernels::cuda::row_lists {

/// Up to four values from any address, zeros behind them.
static __device__ __noinline__ float4 load_unaligned(const float* from, std::int64_t count) {
  float4 v = make_float4(0, 0, 0, 0);
  if (count > 0) v.x = __ldg(from);
  if (count > 1) v.y = __ldg(from + 1);
  if (count > 2) v.z = __ldg(from + 2);
  if (count > 3) v.w = __ldg(from + 3);
  return v;
}

/// A thread's part of a block of x: of one token four neighbouring columns out of every 32 · strips. Eight
/// lanes read a line of memory, and the four tokens of a warp lie side by side in shared memory, so that
/// neither loads nor stores conflict.
struct Columns {
  static constexpr std::uint32_t strips = warps / 8;     ///< of 32 columns that the CTA loads at a time
  static constexpr std::uint32_t at_once = 8;            ///< loads in flight a thread
  static constexpr std::uint32_t advance = 32 * strips;  ///< columns between two loads

  /// A thread's loads of half a block.
  using Half = float4[at_once];
  static constexpr std::uint32_t half_cols = at_once * advance;
  static_assert(2 * half_cols >= row_list_most_cols);

  const float* from = nullptr;  ///< of this thread's token, column `col` of block 0
  std::uint32_t col = 0, to = 0;

  __device__ __forceinline__ Columns(const Params& p, std::uint32_t first_token, std::uint32_t warp,
                                     std::uint32_t lane, std::uint32_t x_shared) {
    const std::uint32_t unit = warp % 8, token = 4 * unit + lane / 8, group = lane % 8;
    // Tokens past the last one stand for it; nobody stores their sums.
    const std::uint32_t there = min(first_token + token, static_cast<std::uint32_t>(p.tokens) - 1);
    col = warp / 8 * 32 + 4 * group;
    from = p.x + std::uint64_t{there} * static_cast<std::uint64_t>(p.cols) + col;
    to = x_shared + row_list_column * col + 16 * (unit ^ group) + 4 * (lane / 8);
    keep(from);
    keep(to);
  }
  /// Columns of the block that the matrix has.
  static __device__ __forceinline__ std::uint32_t width(const Params& p, std::int32_t block) {
    return static_cast<std::uint32_t>(
        min(static_cast<long long>(p.block_cols),
            static_cast<long long>(p.cols - std::int64_t{block} * p.block_cols)));
  }
  /// Asks for half `half` of a block, 0 or 1.
  __device__ __forceinline__ void load(const Params& p, std::int32_t block, std::uint32_t half,
                                       Half& v) const {
    const std::uint32_t first = half * half_cols, end = p.aligned ? width(p, block) : 0;
    const float* at = from + std::int64_t{block} * p.block_cols + first;
#pragma unroll
    for (std::uint32_t i = 0; i < at_once; ++i)
      v[i] = load_global16_if(at + i * advance, col + first + i * advance < end);
  }
  __device__ __forceinline__ void put(std::uint32_t at, const float4& f) const {
    store_shared_float(at, f.x);
    store_shared_float(at + row_list_column, f.y);
    store_shared_float(at + 2 * row_list_column, f.z);
    store_shared_float(at + 3 * row_list_column, f.w);
  }
  /// Stores a half that `load` has asked for.
  __device__ __forceinline__ void store(const Params& p, std::int32_t block, std::uint32_t half,
                                        const Half& v) const {
    const std::uint32_t first = half * half_cols, end = p.aligned ? width(p, block) : 0;
#pragma unroll
    for (std::uint32_t i = 0; i < at_once; ++i)
      if (col + first + i * advance < end) put(to + row_list_column * (first + i * advance), v[i]);
  }
  /// Loads and stores a block of rows that no 16-byte load can read.
  __device__ __forceinline__ void copy_unaligned(const Params& p, std::int32_t block) const {
    const std::uint32_t end = width(p, block);
    const float* at = from + std::int64_t{block} * p.block_cols;
#pragma unroll 1
    for (std::uint32_t first = 0; col + first < end; first += advance)
      put(to + row_list_column * first,
          load_unaligned(at + first, static_cast<std::int64_t>(end) - col - first));
  }
};

}  // namespace cross::kernels::cuda::row_lists
