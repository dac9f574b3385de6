// two_four as a source of the prefill product: its fragments are A operands of wgmma.sp as they lie, nothing
// is decoded. A panel of 64 rows is two of the format's, whose blocks lie one behind the other in a place of
// the ring: 9 KB for 128 columns, 20 registers a lane.
//
// An instruction m64n256k32 takes 128 clocks and reads its B, 16 KB, in the same 128.
#pragma once

#include "kernels/cuda/prefill/source.cuh"
#include "kernels/cuda/prefill/sparse_operand.cuh"
#include "plan/formats/gpu/two_four.h"

namespace cross::kernels::cuda {

struct TwoFourSource {
  struct Params {
    const std::byte* blocks;
    std::int32_t k_blocks;
    std::int32_t panels;         ///< of 64 rows
    std::int32_t format_panels;  ///< of 32
    std::uint32_t place_bytes;
  };
  static constexpr int block_cols = formats::gpu::two_four_cols;
  static constexpr int step_cols = 32;
  static constexpr int batch = 2;
  static constexpr int buffers = 2;
  static constexpr int copies = 2;
  using Operand = SparseOperand;

  static __device__ __forceinline__ int row_tile(const Params&, int i) { return i; }
  static __device__ __forceinline__ int blocks(const Params& p, int) { return p.k_blocks; }
  static __device__ __forceinline__ int column(const Params&, int, int i) { return i * block_cols; }

  class Feed {
   public:
    __device__ __forceinline__ Feed(const Params& p, std::int64_t panel, int copy, int first, int)
        : offset_(static_cast<std::uint32_t>(copy) * formats::gpu::two_four_block_bytes) {
      // Past the matrix's last 32 rows they are multiplied again, for outputs that nobody stores.
      std::int64_t own = 2 * panel + copy;
      if (own >= p.format_panels) own = p.format_panels - 1;
      at_ = p.blocks + (own * p.k_blocks + first) * formats::gpu::two_four_block_bytes;
    }
    __device__ __forceinline__ void next(const std::byte*& from, std::uint32_t& bytes,
                                         std::uint32_t& offset) {
      from = at_;
      bytes = formats::gpu::two_four_block_bytes;
      offset = offset_;
      at_ += formats::gpu::two_four_block_bytes;
    }

   private:
    const std::byte* at_;
    std::uint32_t offset_;
  };

  class Block {
   public:
    /// Metadata of odd warps stands in lanes 4 g + 2 and 4 g + 3 of the format; wgmma wants 4 g and 4 g + 1.
    __device__ __forceinline__ Block(const Params&, std::uint32_t place, int warp, int lane) {
      const std::uint32_t block =
          place + static_cast<std::uint32_t>(warp / 2) * formats::gpu::two_four_block_bytes;
      at_ = block + static_cast<std::uint32_t>(warp % 2 * formats::gpu::two_four_fragment_bytes + lane * 16);
      const int from = (lane & ~3) + 2 * (warp % 2) + (lane & 1);
      metadata_ = block + formats::gpu::two_four_metadata_at + static_cast<std::uint32_t>(from * 16);
    }
    /// Metadata with the batch's first step, two words at a time: 16 bytes lie between lanes, so every load
    /// costs four reads of the banks. Loaded further ahead, their registers would change under products that
    /// still read them.
    template <int s>
    __device__ __forceinline__ void step(const Params&, Operand& operand) {
      const uint4 a = load_shared16(at_ + 2 * s * formats::gpu::two_four_fragment_bytes);
      operand.a[0] = a.x;
      operand.a[1] = a.y;
      operand.a[2] = a.z;
      operand.a[3] = a.w;
      static_assert(batch == 2);
      if constexpr (s % 2 == 0) {
        const uint2 words = load_shared8(metadata_ + 4 * s);
        operand.metadata = words.x;
        second_ = words.y;
      } else {
        operand.metadata = second_;
      }
    }

   private:
    std::uint32_t at_, metadata_, second_;
  };

  template <class T, int eights>
  static __device__ __forceinline__ void multiply(float (&sums)[eights][4], const Operand& operand,
                                                  std::uint64_t descriptor) {
    wgmma_sparse<T, 0>(sums, operand.a, operand.metadata, descriptor);
  }

  template <class T>
  static __device__ __noinline__ float exact(const Params& p, std::int64_t row, const T* x,
                                             std::int64_t cols) {
    using namespace formats::gpu;
    float sum = 0.0f;
    for (int k = 0; k < p.k_blocks; ++k)
      sum = add_block<T>(
          sum, p.blocks + (row / two_four_rows * p.k_blocks + k) * two_four_block_bytes,
          static_cast<int>(row % two_four_rows), x,
          [&](int place) { return static_cast<std::int64_t>(k) * two_four_cols + place; }, cols);
    return sum;
  }

 protected:
  /// sum + W[row, …]·x over the kept weights of a block. @param column_of  place in the block → column of x
  template <class T, class ColumnOf>
  static __device__ __forceinline__ float add_block(float sum, const std::byte* block, int row, const T* x,
                                                    ColumnOf column_of, std::int64_t cols) {
    using namespace formats::gpu;
    for (int group = 0; group < two_four_cols / 4; ++group) {
      const auto* values = reinterpret_cast<const std::uint16_t*>(block) + two_four_value_index(row, group);
      const std::uint32_t nibble = reinterpret_cast<const std::uint32_t*>(
                                       block + two_four_metadata_at)[two_four_word_index(row, group)] >>
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
