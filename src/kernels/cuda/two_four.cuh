// two_four: decode with exact 2:4 weights on sparse tensor cores (plan/formats/gpu/two_four.h).
//
//     Y[n, m] = sum over k of W[m, k] · X[n, k]
//
// A *team* of CTAs owns a range of row panels, each of its CTAs one K range (a *split*) of them. X of that
// range lies in shared memory; weights go from memory straight to registers, one block (32 rows x 128
// columns: half of two tiles, 4608 bytes) ahead of the products, so that 16 warps keep 74 KB in flight. Warps
// share the CTA's blocks evenly, panel after panel (of 32 rows); what a warp has summed when it leaves a
// panel is a *partial* of the panel (two_four_partials.cuh).
//
// A lane loads one piece of four groups for each row of A that it holds, so its four registers belong to four
// steps: step n multiplies group n of every piece, slots 0 … 3 those of the block's first tile, 4 … 7 those
// of the second.
//
// Budget of a block at N <= 8: 4608 bytes of weights (248 clocks of an SM's share of HBM), 2 KB of X from
// shared memory (16 clocks), 8 mma.sp, about 40 instructions a warp. At N = 64: 16 KB (128 clocks) and 64
// mma.sp.
#pragma once

#include "kernels/cuda/token_rows.cuh"
#include "kernels/cuda/two_four_partials.cuh"

namespace cross::kernels::cuda::CROSS_GPU_ARCH {

using formats::gpu::two_four_atom_bytes;
using formats::gpu::two_four_metadata_at;
using formats::gpu::two_four_tile_bytes;

/// A warp's block: rows of half a panel of the format, columns of two of its tiles.
inline constexpr int two_four_block_rows = 32;
inline constexpr int two_four_block_cols = 128;
inline constexpr int two_four_block_atoms = two_four_block_rows / 8;
inline constexpr int two_four_steps = 4;

__device__ __forceinline__ const std::uint32_t& word_of(const uint4& v, int i) {
  return i == 0 ? v.x : i == 1 ? v.y : i == 2 ? v.z : v.w;
}

template <class T, int planes, int warps>
class TwoFourWarp {
 public:
  __device__ TwoFourWarp(const TwoFourParams<T>& params, const Share& share, std::uint32_t x_shared)
      : p_(params), share_(share), lane_(threadIdx.x & 31), warp_(threadIdx.x >> 5) {
    const WarpBlocks<warps> own(share, warp_);
    left_ = static_cast<int>(own.end - own.begin);
    if (left_ == 0) return;
    panel_ = static_cast<int>(own.begin / static_cast<std::uint32_t>(share.k_blocks));
    k_ = static_cast<int>(own.begin) - panel_ * share.k_blocks;
    at_ = place(panel_, k_);
    // ldmatrix: lane l names the 16 bytes of token l mod 8, columns 8 (l / 8) … + 7 of a step.
    x_ = x_shared + TokenRows<planes>::offset(0, lane_ & 7, lane_ >> 3);
  }

  /// Starts loading the first block: nothing of it depends on X.
  __device__ void prefetch() {
    policy_ = evict_first_policy();
    if (left_ == 0) return;
    load_values(at_);
    metadata_ = load_once16(at_.metadata, policy_);
  }

  /// Runs the warp's blocks. exact: skips pruned positions whatever X holds, without tensor cores.
  template <bool exact, class Writer>
  __device__ void run(const Writer& partials) {
    if (left_ == 0) return;
    clear();
    for (;;) {
      const bool more = left_ > 1;
      const bool panel_ends = k_ + 1 == share_.k_blocks;
      Place next = at_.right();
      if (panel_ends && more) next = place(panel_ + 1, 0);
      if constexpr (exact)
        exact_block();
      else
        multiply_block(next, more);
      if (panel_ends || !more) {
        partials.write(sum_, panel_ + warp_);
        clear();
        ++panel_;
      }
      if (!more) return;
      k_ = panel_ends ? 0 : k_ + 1;
      at_ = next;
      --left_;
    }
  }

 private:
  /// Where a lane finds its part of a block.
  struct Place {
    const std::byte *values, *metadata;
    __device__ Place right() const {
      return {values + 2 * two_four_tile_bytes, metadata + 2 * two_four_tile_bytes};
    }
  };
  /// Of lane 4 g + t: piece t of the rows g, 8 apart, and a strip's metadata words of rows g and g + 8 in a
  /// tile: lanes 4 g and 4 g + 1 those of the upper strip and both tiles, the other two those of the lower.
  __device__ Place place(int panel, int k) const {
    const int number = share_.first_panel + panel;
    const std::byte* tiles =
        p_.tiles + (static_cast<std::int64_t>(number >> 1) * p_.k_blocks + share_.first_k + k) *
                       (2 * two_four_tile_bytes);
    const int g = lane_ >> 2, t = lane_ & 3, half = number & 1;
    return {
        tiles + half * two_four_block_atoms * two_four_atom_bytes + g * 64 + ((t ^ (g >> 1)) & 3) * 16,
        tiles + two_four_metadata_at + half * 256 + (t & 1) * two_four_tile_bytes + (t >> 1) * 128 + g * 16};
  }

  __device__ void load_values(const Place& from) {
#pragma unroll
    for (int tile = 0; tile < 2; ++tile)
#pragma unroll
      for (int atom = 0; atom < two_four_block_atoms; ++atom)
        a_[tile][atom] =
            load_once16(from.values + tile * two_four_tile_bytes + atom * two_four_atom_bytes, policy_);
  }

  /// Words of four pieces, a nibble a group → words of four groups, a nibble a piece, as mma.sp wants them.
  __device__ static uint4 by_steps(const uint4& pieces) {
    constexpr std::uint32_t low = 0x0f0f0f0fu;
    // Pieces 0, 2 and 1, 3: that is their order in memory.
    const std::uint32_t even01 = pick_bytes(pieces.x, pieces.y, 0x6240),
                        odd01 = pick_bytes(pieces.z, pieces.w, 0x6240);
    const std::uint32_t even23 = pick_bytes(pieces.x, pieces.y, 0x7351),
                        odd23 = pick_bytes(pieces.z, pieces.w, 0x7351);
    return make_uint4((even01 & low) | (odd01 << 4 & ~low), (even01 >> 4 & low) | (odd01 & ~low),
                      (even23 & low) | (odd23 << 4 & ~low), (even23 >> 4 & low) | (odd23 & ~low));
  }

  __device__ void clear() {
#pragma unroll
    for (int half = 0; half < 2; ++half)
#pragma unroll
      for (int q = 0; q < planes; ++q)
#pragma unroll
        for (int j = 0; j < 4; ++j) sum_[half][q][j] = 0.0f;
  }

  /// The block in registers; the next one takes its place.
  __device__ void multiply_block(const Place& next, bool more) {
    const std::uint32_t x = x_ + static_cast<std::uint32_t>(k_ * TokenRows<planes>::block_bytes);
    const uint4 metadata = by_steps(metadata_);
    if (more) metadata_ = load_once16(next.metadata, policy_);
    if constexpr (planes == 8) {
      // Multiplying takes as long as loading, and registers are there: the next block is asked for before.
      uint4 a[2][two_four_block_atoms];
#pragma unroll
      for (int i = 0; i < 2 * two_four_block_atoms; ++i) a[i / 4][i % 4] = a_[i / 4][i % 4];
      if (more) load_values(next);
      multiply(a, metadata, x);
    } else {
      multiply(a_, metadata, x);
      if (more) load_values(next);
    }
  }

  __device__ void multiply(const uint4 (&a)[2][two_four_block_atoms], const uint4& metadata,
                           std::uint32_t x) {
#pragma unroll
    for (int n = 0; n < two_four_steps; ++n) {
      const std::uint32_t word = word_of(metadata, n);
      // X of 32 tokens at a time, loaded ahead of the products.
      constexpr int group = planes < 4 ? planes : 4;
#pragma unroll
      for (int q0 = 0; q0 < planes; q0 += group) {
        std::uint32_t b[group][4];
#pragma unroll
        for (int q = 0; q < group; ++q)
          load_matrices(b[q], TokenRows<planes>::step(x, n) + static_cast<std::uint32_t>((q0 + q) * 8 * 256));
#pragma unroll
        for (int q = 0; q < group; ++q) {
          mma_sparse<T, 0>(sum_[0][q0 + q], word_of(a[0][0], n), word_of(a[0][1], n), word_of(a[1][0], n),
                           word_of(a[1][1], n), b[q], word);
          mma_sparse<T, 1>(sum_[1][q0 + q], word_of(a[0][2], n), word_of(a[0][3], n), word_of(a[1][2], n),
                           word_of(a[1][3], n), b[q], word);
        }
      }
    }
  }

  /// The same sums weight by weight. The four lanes of a row meet all its weights, each for its own tokens.
  __device__ void exact_block() {
    const int quad = lane_ & ~3;
    const uint4 words = by_steps(load_once16(at_.metadata, policy_));
#pragma unroll 1
    for (int tile = 0; tile < 2; ++tile)
#pragma unroll
      for (int atom = 0; atom < two_four_block_atoms; ++atom) {
        const uint4 a =
            load_once16(at_.values + tile * two_four_tile_bytes + atom * two_four_atom_bytes, policy_);
#pragma unroll 1
        for (int n = 0; n < two_four_steps; ++n) {
          const std::uint32_t word = __shfl_sync(~0u, word_of(words, n), quad + 2 * (atom >> 1) + tile);
#pragma unroll 1
          for (int piece = 0; piece < 4; ++piece) {
            const std::uint32_t values = __shfl_sync(~0u, word_of(a, n), quad + piece);
            const std::uint32_t nibble = word >> (16 * (atom & 1) + 4 * piece);
#pragma unroll 1
            for (int slot = 0; slot < 2; ++slot)
              add_weight(sum_[atom >> 1], 2 * (atom & 1), static_cast<std::uint16_t>(values >> (16 * slot)),
                         64 * tile + 16 * piece + 4 * n + static_cast<int>(nibble >> (2 * slot) & 3u));
          }
        }
      }
  }

  __device__ void add_weight(float (&sum)[planes][4], int at, std::uint16_t bits, int column) const {
    if (bits == 0) return;
    const float weight = to_float(from_bits<T>(bits));
    const std::uint32_t x_begin = x_ - TokenRows<planes>::offset(0, lane_ & 7, lane_ >> 3);
#pragma unroll
    for (int q = 0; q < planes; ++q)
#pragma unroll
      for (int j = 0; j < 2; ++j) {
        const int token = 8 * q + 2 * (lane_ & 3) + j;
        const std::uint32_t x = x_begin + TokenRows<planes>::column_offset(k_, token, column);
        sum[q][at + j] += weight * to_float(from_bits<T>(static_cast<std::uint16_t>(load_shared_u16(x))));
      }
  }

  const TwoFourParams<T>& p_;
  const Share& share_;
  int lane_, warp_;
  int left_;               ///< blocks, the present one included
  int panel_ = 0, k_ = 0;  ///< of the present block, inside the share
  Place at_{};
  std::uint32_t x_ = 0;
  std::uint64_t policy_ = 0;
  uint4 a_[2][two_four_block_atoms];  ///< by tile of the block and eight rows
  uint4 metadata_;
  /// Of rows 16 half + g (two tokens) and of the rows 8 below (two tokens), as mma leaves them.
  float sum_[2][planes][4];
};

/// Shared memory: X of the split, then partials.
template <class T, int planes, int warps, bool counted>
__global__ void __launch_bounds__(warps * 32, 1) two_four_kernel(const __grid_constant__ TwoFourParams<T> p) {
  extern __shared__ __align__(128) std::byte shared[];
  __shared__ std::uint64_t counter;
  let_successor_start();
  const Share share(p);
  const std::uint32_t x = shared_address(shared);
  const std::uint32_t own_partials =
      x + static_cast<std::uint32_t>(p.k_range * TokenRows<planes>::block_bytes);
  TwoFourWarp<T, planes, warps> work(p, share, x);
  work.prefetch();
  PartialWriter<T, planes, warps, counted> partials(p, share, own_partials, shared_address(&counter));
  partials.begin();
  wait_for_predecessor();
  const bool non_finite = TokenRows<planes>::template load<warps * 32>(
      x, p.x, p.cols, static_cast<std::int64_t>(share.first_k) * two_four_block_cols, share.k_blocks,
      p.tokens);
  const bool exact = __syncthreads_or(non_finite);
  partials.wait_for_owners();
  if (exact)
    work.template run<true>(partials);
  else
    work.template run<false>(partials);
  partials.finish();
}

}  // namespace cross::kernels::cuda::CROSS_GPU_ARCH
