// two_four as a source of the sparse product: a tile of the format, 64 rows and columns, is a panel's part of
// a stage as it lies in memory.
#pragma once

#include "kernels/cuda/prefill/sparse_product.cuh"
#include "plan/formats/gpu/two_four.h"

namespace cross::kernels::cuda {

struct TwoFourSource {
  struct Params {
    const std::byte* tiles;
    std::int32_t k_tiles;
    std::int32_t panels;
  };
  static constexpr std::uint32_t stage_bytes = formats::gpu::two_four_tile_bytes;

  static __device__ __forceinline__ int own_stages(const Params& p) { return p.k_tiles; }

  /// Where a panel's stages lie, one after the other.
  class Feed {
   public:
    __device__ __forceinline__ void begin(const Params& p, int panel, int stage) {
      at_ = p.tiles + (static_cast<std::int64_t>(panel) * p.k_tiles + stage) * stage_bytes;
    }
    __device__ __forceinline__ const std::byte* next() {
      const std::byte* const at = at_;
      at_ += stage_bytes;
      return at;
    }

   private:
    const std::byte* at_;
  };

  /// A lane's word of a stage's metadata: lanes 4 g + u that of columns 16 u … 16 u + 15, lanes 4 g + 2 + u
  /// of the same 32 columns further on, so that a word serves both steps.
  static __device__ __forceinline__ std::uint32_t metadata_at(int warp, int lane) {
    const int word = (lane >> 2) * 4 + (lane & 1) * 2 + (lane >> 1 & 1);
    return static_cast<std::uint32_t>(formats::gpu::two_four_metadata_at + warp * 128 + word * 4);
  }

  template <class T>
  static __device__ __noinline__ float exact(const Params& p, std::int64_t row, const T* x,
                                             std::int64_t cols) {
    using namespace formats::gpu;
    float sum = 0.0f;
    for (int k = 0; k < p.k_tiles; ++k)
      sum = add_tile<T>(
          sum, p.tiles + (row / two_four_rows * p.k_tiles + k) * two_four_tile_bytes,
          static_cast<int>(row % two_four_rows), x,
          [&](int place) { return static_cast<std::int64_t>(k) * two_four_cols + place; }, cols);
    return sum;
  }

 protected:
  /// sum + W[row, …]·x over the kept weights of a tile. @param column_of  place in the tile → column of x
  template <class T, class ColumnOf>
  static __device__ __forceinline__ float add_tile(float sum, const std::byte* tile, int row, const T* x,
                                                   ColumnOf column_of, std::int64_t cols) {
    using namespace formats::gpu;
    for (int group = 0; group < two_four_groups; ++group) {
      const auto* values = reinterpret_cast<const std::uint16_t*>(tile) + two_four_value_index(row, group);
      const std::uint32_t nibble = reinterpret_cast<const std::uint32_t*>(
                                       tile + two_four_metadata_at)[two_four_word_index(row, group)] >>
                                   two_four_shift(row, group);
      for (int slot = 0; slot < 2; ++slot) {
        if (values[slot] == 0) continue;
        const std::int64_t column = column_of(4 * group + static_cast<int>(nibble >> (2 * slot) & 3));
        if (column < cols) sum = fmaf(to_float(from_bits<T>(values[slot])), to_float(x[column]), sum);
      }
    }
    return sum;
  }
};

}  // namespace cross::kernels::cuda
