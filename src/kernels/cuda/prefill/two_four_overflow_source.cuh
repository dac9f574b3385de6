// two_four_overflow as a source of the prefill product: two_four's blocks, then a tile's further blocks,
// which multiply chunks of gathered columns.
#pragma once

#include <cuda.h>

#include "kernels/cuda/prefill/two_four_source.cuh"
#include "plan/formats/gpu/two_four_overflow.h"

namespace cross::kernels::cuda {

struct TwoFourOverflowSource : TwoFourSource {
  struct Params : TwoFourSource::Params {
    CUtensorMap gathered_map;  ///< gathered columns, 64 of a chunk and token a row, tokens by chunk
    const std::uint32_t* column;
    const std::uint32_t* begin;
    const std::uint32_t* chunk;
    const std::byte* further_blocks;
  };

  static __device__ __forceinline__ int blocks(const Params& p, int tile) {
    return p.k_blocks + static_cast<int>(__ldg(p.begin + tile + 1) - __ldg(p.begin + tile));
  }
  static __device__ __forceinline__ bool gathered(const Params& p, int block) { return block >= p.k_blocks; }
  static __device__ __forceinline__ int gathered_chunk(const Params& p, int tile, int block, int chunk) {
    return static_cast<int>(__ldg(p.chunk + 2 * (__ldg(p.begin + tile) + block - p.k_blocks) + chunk));
  }

  class Feed {
   public:
    __device__ __forceinline__ Feed(const Params& p, std::int64_t panel, int copy, int first, int last)
        : own_(p, panel, copy, first, last), left_(p.k_blocks - first) {
      // Two panels of 64 rows a tile, four of 32.
      const std::int64_t further = static_cast<std::int64_t>(__ldg(p.begin + panel / 2)) + max(-left_, 0);
      at_ = p.further_blocks + further * formats::gpu::lifted_block_bytes +
            (2 * (panel % 2) + copy) * formats::gpu::two_four_block_bytes;
    }
    __device__ __forceinline__ void next(const std::byte*& from, std::uint32_t& bytes,
                                         std::uint32_t& offset) {
      own_.next(from, bytes, offset);
      if (--left_ >= 0) return;
      from = at_;
      at_ += formats::gpu::lifted_block_bytes;
    }

   private:
    TwoFourSource::Feed own_;
    int left_;  ///< blocks of the panel's own
    const std::byte* at_;
  };

  template <class T>
  static __device__ __noinline__ float exact(const Params& p, std::int64_t row, const T* x,
                                             std::int64_t cols) {
    using namespace formats::gpu;
    float sum = TwoFourSource::exact<T>(p, row, x, cols);
    const auto tile = row / lifted_tile_rows;
    for (std::uint32_t b = p.begin[tile]; b < p.begin[tile + 1]; ++b) {
      const std::byte* block = p.further_blocks + static_cast<std::uint64_t>(b) * lifted_block_bytes +
                               row % lifted_tile_rows / two_four_rows * two_four_block_bytes;
      sum = add_block<T>(
          sum, block, static_cast<int>(row % two_four_rows), x,
          [&](int place) {
            return static_cast<std::int64_t>(
                p.column[static_cast<std::size_t>(p.chunk[2 * b + place / lifted_chunk_cols]) *
                             lifted_chunk_cols +
                         place % lifted_chunk_cols]);
          },
          cols);
    }
    return sum;
  }
};

}  // namespace cross::kernels::cuda
