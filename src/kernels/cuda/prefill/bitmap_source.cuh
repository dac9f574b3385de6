// bitmap_planes as a source of the prefill product: masks and byte planes become A fragments in registers
// while the product before is under way. About 31 instructions a warp and step of 16 columns, against 128
// clocks of wgmma m64n256k16 a warp group.
#pragma once

#include "kernels/cuda/bitmap_planes_decode.cuh"
#include "kernels/cuda/prefill/source.cuh"

namespace cross::kernels::cuda {

struct BitmapPlanesSource {
  struct Params {
    const std::uint32_t* index;
    const std::byte* blocks;
    std::int32_t k_blocks;
    std::int32_t panels;
    std::uint32_t place_bytes;  ///< of four blocks, one a warp
    DecodeFactors factors;
  };
  static constexpr int block_cols = formats::gpu::bitmap_planes_cols;
  static constexpr int step_cols = 16;
  static constexpr int batch = 2, buffers = 2;
  static constexpr int copies = formats::gpu::bitmap_planes_tiles;
  using Operand = DenseOperand;

  static __device__ __forceinline__ int row_tile(const Params&, int i) { return i; }
  static __device__ __forceinline__ int blocks(const Params& p, int) { return p.k_blocks; }
  static __device__ __forceinline__ int column(const Params&, int, int i) { return i * block_cols; }

  /// The index runs a block ahead of the copies.
  class Feed {
   public:
    __device__ __forceinline__ Feed(const Params& p, std::int64_t panel, int copy, int first, int last)
        : blocks_(p.blocks), offset_(static_cast<std::uint32_t>(copy) * (p.place_bytes / copies)) {
      at_ = p.index + (panel * copies + copy) * p.k_blocks + first;
      end_ = at_ + (last - first);
      from_ = __ldg(at_);
      to_ = __ldg(++at_);
    }
    __device__ __forceinline__ void next(const std::byte*& from, std::uint32_t& bytes,
                                         std::uint32_t& offset) {
      constexpr std::uint32_t align = formats::gpu::bitmap_planes_align;
      from = blocks_ + static_cast<std::uint64_t>(from_) * align;
      bytes = (to_ - from_) * align;
      offset = offset_;
      from_ = to_;
      if (at_ < end_) to_ = __ldg(++at_);
    }

   private:
    const std::byte* blocks_;
    const std::uint32_t* at_;
    const std::uint32_t* end_;
    std::uint32_t from_, to_, offset_;
  };

  class Block {
   public:
    __device__ __forceinline__ Block(const Params& p, std::uint32_t place, int warp, int lane)
        : values_(
              open_block(place + static_cast<std::uint32_t>(warp) * (p.place_bytes / copies), lane, mask_)) {}
    template <int s>
    __device__ __forceinline__ void step(const Params& p, Operand& operand) {
      values_.step(mask_[s / 4], s % 4, p.factors, operand.a);
    }

   private:
    std::uint32_t mask_[2];
    ValueWindow values_;
  };

  template <class T, int eights>
  static __device__ __forceinline__ void multiply(float (&sums)[eights][4], const Operand& operand,
                                                  std::uint64_t descriptor) {
    wgmma_wide<T>(sums, operand.a, descriptor);
  }

  template <class T>
  static __device__ __noinline__ float exact(const Params& p, std::int64_t row, const T* x,
                                             std::int64_t cols) {
    const int quad = static_cast<int>(row & 7) * 4, half = static_cast<int>(row >> 3 & 1);
    float sum = 0.0f;
    for (int k = 0; k < p.k_blocks; ++k) {
      const std::byte* block = p.blocks + static_cast<std::uint64_t>(p.index[row / 16 * p.k_blocks + k]) *
                                              formats::gpu::bitmap_planes_align;
      std::uint32_t next = reinterpret_cast<const std::uint16_t*>(block)[quad / 4];
      for (int lane = quad; lane < quad + 4; ++lane)
        for (int step = 0; step < formats::gpu::bitmap_planes_steps; ++step) {
          const std::uint32_t mask = reinterpret_cast<const std::uint32_t*>(
              block + formats::gpu::bitmap_planes_mask_at)[2 * lane + step / 4];
          for (int bit = 0; bit < 8; ++bit) {  // both rows of the lane, in the order of the values
            if ((mask >> formats::gpu::bitmap_planes_bit(step, bit / 4, bit % 4) & 1) == 0) continue;
            const std::byte* value =
                block + formats::gpu::bitmap_planes_values_at + formats::gpu::bitmap_planes_value_at(next++);
            const int column = k * block_cols + formats::gpu::bitmap_planes_column(lane, step, bit % 4);
            if (bit / 4 != half || column >= cols) continue;
            const auto bits = static_cast<std::uint16_t>(static_cast<unsigned>(value[0]) |
                                                         static_cast<unsigned>(value[4]) << 8);
            sum = fmaf(to_float(from_bits<T>(bits)), to_float(x[column]), sum);
          }
        }
    }
    return sum;
  }
};

}  // namespace cross::kernels::cuda
