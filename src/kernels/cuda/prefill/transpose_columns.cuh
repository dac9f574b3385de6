// Turning x column by column, in a kernel of its own or by warps of a product.
#pragma once

#include "kernels/cuda/prefill/transpose_columns.h"
#include "kernels/cuda/ptx.cuh"

namespace cross::kernels::cuda {

/// x and its columns, as enqueue_transposed has them.
struct TransposeArgs {
  const std::byte* x;
  std::byte* out;
  const std::uint32_t* wanted;  ///< nullptr: all columns
  std::int64_t tokens, cols;
  std::int32_t strips;  ///< transposed_strips(cols)
  std::int32_t spread;  ///< the bits of c mod 8 that move the units of column c: 7 or 0
};

/// A warp's 64 tokens of 32 columns, a lane eight of either. Unit u of transposed_blocks(tokens) · strips.
class TransposedUnit {
 public:
  TransposedUnit() = default;
  /// Reads nothing that a kernel in front may write.
  __device__ __forceinline__ TransposedUnit(const TransposeArgs& args, std::int64_t u, int lane)
      : block_(u / args.strips), unit_(lane % 8) {
    col_ = (u - block_ * args.strips) * transposed_strip_cols + lane / 8 * 8;
    if (block_ * transposed_tokens >= args.tokens || col_ >= args.cols) return;
    wanted_ = args.wanted == nullptr ? 0xffu : __ldg(args.wanted + col_ / 32) >> (col_ % 32) & 0xffu;
  }

  /// A lane reads 16 bytes of every token, past the last one that again.
  __device__ __forceinline__ void load(const TransposeArgs& args) {
    const std::int64_t token = block_ * transposed_tokens + unit_ * 8;
#pragma unroll
    for (int n = 0; n < 8; ++n)
      v_[n] = *reinterpret_cast<const uint4*>(
          args.x + (min(token + n, args.tokens - 1) * args.cols + min(col_, args.cols - 8)) * 2);
  }
  __device__ __forceinline__ bool any() const { return wanted_ != 0; }

  /// And writes 16 bytes of every column that is wanted.
  __device__ __forceinline__ void store(const TransposeArgs& args) const {
    if (wanted_ == 0) return;
    std::byte* const to = args.out + (block_ * args.cols + col_) * transposed_column_bytes;
#pragma unroll
    for (int c = 0; c < 8; ++c) {
      if ((wanted_ >> c & 1u) == 0) continue;
      const auto pair = [&](int n) {
        return pick_bytes((&v_[n].x)[c / 2], (&v_[n + 1].x)[c / 2], c % 2 == 0 ? 0x5410 : 0x7632);
      };
      *reinterpret_cast<uint4*>(to + c * transposed_column_bytes + (unit_ ^ (c & args.spread)) * 16) =
          make_uint4(pair(0), pair(2), pair(4), pair(6));
    }
  }

 private:
  std::int64_t block_, col_;
  int unit_;
  std::uint32_t wanted_ = 0;
  uint4 v_[8];  // of a token: eight columns
};

}  // namespace cross::kernels::cuda
