// two_four_overflow as a source of the sparse product: two_four's tiles and, among them, a row tile's further
// ones, whose columns of x are gathered.
#pragma once

#include "kernels/cuda/prefill/two_four_source.cuh"
#include "plan/formats/gpu/two_four_overflow.h"

namespace cross::kernels::cuda {

struct TwoFourOverflowSource : TwoFourSource {
  struct Params : TwoFourSource::Params {
    std::byte* columns;  ///< of x, as enqueue_transposed leaves them; nullptr without further stages
    const std::uint32_t* lifted;
    ColumnTurning turning;
    const std::uint32_t* begin;
    const std::uint32_t* column;
    const std::byte* further_tiles;
  };

  static __device__ __forceinline__ int further_stages(const Params& p, int row_tile) {
    return static_cast<int>(__ldg(p.begin + row_tile / 2 + 1) - __ldg(p.begin + row_tile / 2));
  }
  static __device__ __forceinline__ std::int64_t further_stage(const Params& p, int row_tile) {
    return formats::gpu::first_further_stage(row_tile, __ldg(p.begin + row_tile / 2),
                                             __ldg(p.begin + row_tile / 2 + 1));
  }

  template <class T>
  static __device__ __noinline__ float exact(const Params& p, std::int64_t row, const T* x,
                                             std::int64_t cols) {
    using namespace formats::gpu;
    float sum = TwoFourSource::exact<T>(p, row, x, cols);
    const auto row_tile = static_cast<int>(row / lifted_tile_rows);
    const auto panel = row % lifted_tile_rows / two_four_rows;
    std::int64_t stage = further_stage(p, row_tile);
    for (int n = further_stages(p, row_tile); n > 0; --n, ++stage)
      sum = add_tile<T>(
          sum, p.further_tiles + (stage * lifted_tile_panels + panel) * two_four_tile_bytes,
          static_cast<int>(row % two_four_rows), x,
          [&](int place) { return static_cast<std::int64_t>(p.column[stage * two_four_cols + place]); },
          cols);
    return sum;
  }
};

}  // namespace cross::kernels::cuda
