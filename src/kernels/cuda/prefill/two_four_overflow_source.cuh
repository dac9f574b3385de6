// two_four_overflow as a source of the sparse product: two_four's tiles, then a row tile's further ones,
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
    const std::byte* further_tiles;
  };

  static __device__ __forceinline__ int stages(const Params& p, int row_tile) {
    return p.k_tiles + static_cast<int>(__ldg(p.begin + row_tile + 1) - __ldg(p.begin + row_tile));
  }
  static __device__ __forceinline__ bool gathered(const Params& p, int stage) { return stage >= p.k_tiles; }
  static __device__ __forceinline__ int gathered_chunk(const Params& p, int row_tile, int stage) {
    return static_cast<int>(__ldg(p.chunk + __ldg(p.begin + row_tile) + stage - p.k_tiles));
  }

  class Feed {
   public:
    __device__ __forceinline__ void begin(const Params& p, int row_tile, int panel, int stage) {
      own_.begin(p, row_tile, panel, stage);
      const std::int64_t further =
          static_cast<std::int64_t>(__ldg(p.begin + row_tile)) + max(stage - p.k_tiles, 0);
      further_ = p.further_tiles + further * formats::gpu::lifted_pair_bytes +
                 panel % formats::gpu::lifted_tile_panels * formats::gpu::two_four_tile_bytes;
    }
    __device__ __forceinline__ const std::byte* next(const Params& p, int stage) {
      if (!gathered(p, stage)) return own_.next(p, stage);
      const std::byte* const at = further_;
      further_ += formats::gpu::lifted_pair_bytes;
      return at;
    }

   private:
    TwoFourSource::Feed own_;
    const std::byte* further_;
  };

  template <class T>
  static __device__ __noinline__ float exact(const Params& p, std::int64_t row, const T* x,
                                             std::int64_t cols) {
    using namespace formats::gpu;
    float sum = TwoFourSource::exact<T>(p, row, x, cols);
    const auto row_tile = row / lifted_tile_rows;
    for (std::uint32_t f = p.begin[row_tile]; f < p.begin[row_tile + 1]; ++f) {
      const std::byte* tile = p.further_tiles + static_cast<std::uint64_t>(f) * lifted_pair_bytes +
                              row % lifted_tile_rows / two_four_rows * two_four_tile_bytes;
      sum = add_tile<T>(
          sum, tile, static_cast<int>(row % two_four_rows), x,
          [&](int place) {
            return static_cast<std::int64_t>(
                p.column[static_cast<std::size_t>(p.chunk[f]) * lifted_chunk_cols + place]);
          },
          cols);
    }
    return sum;
  }
};

}  // namespace cross::kernels::cuda
