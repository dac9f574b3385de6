// two_four: decode with exact 2:4 weights on sparse tensor cores (plan/formats/gpu/two_four.h).
//
//     Y[n, m] = sum over k of W[m, k] · X[n, k]
//
// A *team* of CTAs owns a range of row panels, each of its CTAs one K range (a *split*) of them. X of that
// range lies in shared memory; weights go from memory straight to registers, one block (32 rows x 128
// columns, 4608 bytes) ahead of the products, so that 16 warps keep 74 KB in flight. Warps share the CTA's
// blocks evenly, panel after panel; what a warp has summed when it leaves a panel is a *partial* of the panel
// (two_four_partials.cuh).
//
// Budget of a block at N <= 8: 4608 bytes of weights (248 clocks of an SM's share of HBM), 2 KB of X from
// shared memory (16 clocks), 8 mma.sp, about 40 instructions a warp. At N = 64: 16 KB (128 clocks) and 64
// mma.sp.
#pragma once

#include "kernels/cuda/token_rows.cuh"
#include "kernels/cuda/two_four_partials.cuh"

namespace cross::kernels::cuda::CROSS_GPU_ARCH {

using formats::gpu::two_four_block_bytes;
using formats::gpu::two_four_cols;
using formats::gpu::two_four_fragment_bytes;
using formats::gpu::two_four_metadata_at;
using formats::gpu::two_four_steps;

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
    at_ = p_.blocks +
          (static_cast<std::int64_t>(share.first_panel + panel_) * p_.k_blocks + share.first_k + k_) *
              two_four_block_bytes +
          lane_ * 16;
    // ldmatrix: lane l names the 16 bytes of token l mod 8, columns 8 (l / 8) … + 7 of a step.
    x_ = x_shared + TokenRows<planes>::offset(0, lane_ & 7, lane_ >> 3);
  }

  /// Starts loading the first block: nothing of it depends on X.
  __device__ void prefetch() {
    policy_ = evict_first_policy();
    if (left_ == 0) return;
#pragma unroll
    for (int f = 0; f < 2 * two_four_steps; ++f)
      a_[f] = load_once16(at_ + f * two_four_fragment_bytes, policy_);
    metadata_ = load_once16(at_ + two_four_metadata_at, policy_);
  }

  /// Runs the warp's blocks. exact: skips pruned positions whatever X holds, without tensor cores.
  template <bool exact, class Writer>
  __device__ void run(const Writer& partials) {
    if (left_ == 0) return;
    const std::int64_t skip = static_cast<std::int64_t>(p_.k_blocks - share_.k_blocks) * two_four_block_bytes;
    clear();
    for (;;) {
      const bool more = left_ > 1;
      const bool panel_ends = k_ + 1 == share_.k_blocks;
      const std::byte* next = at_ + two_four_block_bytes + (panel_ends ? skip : 0);
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
  __device__ void clear() {
#pragma unroll
    for (int half = 0; half < 2; ++half)
#pragma unroll
      for (int q = 0; q < planes; ++q)
#pragma unroll
        for (int j = 0; j < 4; ++j) sum_[half][q][j] = 0.0f;
  }

  /// The block in registers; the next one takes its place, fragment by fragment.
  __device__ void multiply_block(const std::byte* next, bool more) {
    const std::uint32_t x = x_ + static_cast<std::uint32_t>(k_ * TokenRows<planes>::block_bytes);
    const uint4 metadata = metadata_;
    if (more) metadata_ = load_once16(next + two_four_metadata_at, policy_);
#pragma unroll
    for (int s = 0; s < two_four_steps; ++s) {
      const std::uint32_t word = word_of(metadata, s);
      const uint4 top = a_[2 * s], bottom = a_[2 * s + 1];
      // X of 32 tokens at a time, loaded ahead of the products.
      constexpr int group = planes < 4 ? planes : 4;
#pragma unroll
      for (int q0 = 0; q0 < planes; q0 += group) {
        std::uint32_t b[group][4];
#pragma unroll
        for (int q = 0; q < group; ++q)
          load_matrices(b[q], TokenRows<planes>::step(x, s) + static_cast<std::uint32_t>((q0 + q) * 8 * 256));
#pragma unroll
        for (int q = 0; q < group; ++q) {
          mma_sparse<T, 0>(sum_[0][q0 + q], top.x, top.y, top.z, top.w, b[q], word);
          mma_sparse<T, 1>(sum_[1][q0 + q], bottom.x, bottom.y, bottom.z, bottom.w, b[q], word);
        }
      }
      if (more) {
        a_[2 * s] = load_once16(next + 2 * s * two_four_fragment_bytes, policy_);
        a_[2 * s + 1] = load_once16(next + (2 * s + 1) * two_four_fragment_bytes, policy_);
      }
    }
  }

  /// The same sums weight by weight. The four lanes of a row meet all its weights, each for its own tokens.
  __device__ void exact_block() {
    const int quad = lane_ & ~3;
    const uint4 words = load_once16(at_ + two_four_metadata_at, policy_);
#pragma unroll 1
    for (int s = 0; s < two_four_steps; ++s) {
      const std::uint32_t word = word_of(words, s);
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        const uint4 a = load_once16(at_ + (2 * s + half) * two_four_fragment_bytes, policy_);
        const std::uint32_t low = __shfl_sync(~0u, word, quad + 2 * half);
        const std::uint32_t high = __shfl_sync(~0u, word, quad + 2 * half + 1);
#pragma unroll 1
        for (int from = 0; from < 4; ++from)
#pragma unroll
          for (int r = 0; r < 4; ++r) {
            const std::uint32_t values = __shfl_sync(~0u, word_of(a, r), quad + from);
            const std::uint32_t nibble = (r < 2 ? low : high) >> (16 * (r & 1) + 4 * from);
            const int first_column = 32 * s + 4 * (from + 4 * (r >> 1));
#pragma unroll 1
            for (int slot = 0; slot < 2; ++slot)
              add_weight(sum_[half], 2 * (r & 1), static_cast<std::uint16_t>(values >> (16 * slot)),
                         first_column + static_cast<int>(nibble >> (2 * slot) & 3u));
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
        const std::uint32_t x = x_begin + TokenRows<planes>::offset(k_, token, column >> 3) +
                                static_cast<std::uint32_t>(column & 7) * 2;
        sum[q][at + j] += weight * to_float(from_bits<T>(static_cast<std::uint16_t>(load_shared_u16(x))));
      }
  }

  const TwoFourParams<T>& p_;
  const Share& share_;
  int lane_, warp_;
  int left_;               ///< blocks, the present one included
  int panel_ = 0, k_ = 0;  ///< of the present block, inside the share
  const std::byte* at_ = nullptr;
  std::uint32_t x_ = 0;
  std::uint64_t policy_ = 0;
  uint4 a_[2 * two_four_steps];
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
      x, p.x, p.cols, static_cast<std::int64_t>(share.first_k) * two_four_cols, share.k_blocks, p.tokens);
  const bool exact = __syncthreads_or(non_finite);
  partials.wait_for_owners();
  if (exact)
    work.template run<true>(partials);
  else
    work.template run<false>(partials);
  partials.finish();
}

}  // namespace cross::kernels::cuda::CROSS_GPU_ARCH
