// block_tiles as a source of the prefill product: a panel's list of blocks is its K, so empty blocks cost
// nothing; A fragments are read from the swizzled blocks by ldmatrix.
#pragma once

#include "kernels/cuda/prefill/source.cuh"
#include "plan/formats/gpu/block_tiles.h"

namespace cross::kernels::cuda {

struct BlockTilesSource {
  struct Params {
    const std::uint32_t* order;
    const std::uint32_t* begin;
    const std::uint32_t* column_of;
    const std::uint32_t* first_step;  ///< with `step`: for the product that shares X between two panels
    const std::uint32_t* step;
    const std::byte* values;
    std::int32_t panels;
    std::uint32_t place_bytes;
  };
  static constexpr int block_cols = formats::gpu::block_tiles_side;
  static constexpr int step_cols = 16;
  /// A whole block at a time: the other CTA of the SM multiplies while its operands are loaded.
  static constexpr int batch = 4, buffers = 1;
  static constexpr int copies = 1;
  using Operand = DenseOperand;

  static __device__ __forceinline__ int row_tile(const Params& p, int i) {
    return static_cast<int>(__ldg(p.order + i));
  }
  static __device__ __forceinline__ int blocks(const Params& p, int tile) {
    return static_cast<int>(__ldg(p.begin + tile + 1) - __ldg(p.begin + tile));
  }
  static __device__ __forceinline__ int column(const Params& p, int tile, int i) {
    return static_cast<int>(__ldg(p.column_of + __ldg(p.begin + tile) + static_cast<std::uint32_t>(i))) *
           block_cols;
  }

  class Feed {
   public:
    __device__ __forceinline__ Feed(const Params& p, std::int64_t panel, int, int first, int)
        : from_(p.values +
                static_cast<std::uint64_t>(__ldg(p.begin + panel) + static_cast<std::uint32_t>(first)) *
                    formats::gpu::block_tiles_block_bytes) {}
    __device__ __forceinline__ void next(const std::byte*& from, std::uint32_t& bytes,
                                         std::uint32_t& offset) {
      from = from_;
      bytes = formats::gpu::block_tiles_block_bytes;
      offset = 0;
      from_ += formats::gpu::block_tiles_block_bytes;
    }

   private:
    const std::byte* from_;
  };

  class Block {
   public:
    /// Lane l names row l mod 8 of one of four matrices: two of rows, two of columns.
    __device__ __forceinline__ Block(const Params&, std::uint32_t place, int warp, int lane)
        : at_(place +
              static_cast<std::uint32_t>((16 * warp + (lane & 15)) * 128 + ((lane >> 4 ^ (lane & 7)) << 4))) {
    }
    template <int s>
    __device__ __forceinline__ void step(const Params&, Operand& operand) const {
      load_matrices(operand.a, at_ ^ s << 5);
    }

   private:
    std::uint32_t at_;
  };

  template <class T, int eights>
  static __device__ __forceinline__ void multiply(float (&sums)[eights][4], const Operand& operand,
                                                  std::uint64_t descriptor) {
    wgmma_wide<T>(sums, operand.a, descriptor);
  }

  template <class T>
  static __device__ __noinline__ float exact(const Params& p, std::int64_t row, const T* x,
                                             std::int64_t cols) {
    const auto panel = row / formats::gpu::block_tiles_side;
    const int r = static_cast<int>(row % formats::gpu::block_tiles_side);
    float sum = 0.0f;
    for (std::uint32_t b = p.begin[panel]; b < p.begin[panel + 1]; ++b) {
      const auto* values = reinterpret_cast<const std::uint16_t*>(
          p.values + static_cast<std::uint64_t>(b) * formats::gpu::block_tiles_block_bytes);
      for (int c = 0; c < block_cols; ++c) {
        const std::uint16_t bits = values[formats::gpu::block_tiles_value_index(r, c)];
        const std::int64_t column = static_cast<std::int64_t>(p.column_of[b]) * block_cols + c;
        if (bits != 0 && column < cols) sum = fmaf(to_float(from_bits<T>(bits)), to_float(x[column]), sum);
      }
    }
    return sum;
  }
};

}  // namespace cross::kernels::cuda
