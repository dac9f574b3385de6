// Outputs of a tile that leave while the next one is multiplied.
#pragma once

#include "kernels/cuda/prefill/outputs.cuh"

namespace cross::kernels::cuda {

/// A warp group's outputs of a tile, rounded, in registers: half of what the sums took, which are free for
/// the next tile. Parts of Tile::staged_tokens tokens go out one by one through shared memory.
template <class T, class Tile>
class PendingOutputs {
  static constexpr int pairs = Tile::eights / 2, part_pairs = Tile::staged_tokens / 16;

 public:
  __device__ __forceinline__ bool any() const { return parts_ > 0; }

  /// @return whether an output is NaN
  template <class P>
  __device__ __forceinline__ bool take(const P& p, const float (&sums)[Tile::eights][4], int panel, int token,
                                       int group) {
    std::uint32_t largest = 0;
#pragma unroll
    for (int i = 0; i < pairs; ++i)
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        const float(&s)[4] = sums[2 * i + j / 2];
        v_[i][j] = pack_pair<T>(s[j % 2 * 2], s[j % 2 * 2 + 1]);
        largest = larger_or_nan<T>(largest, v_[i][j]);
      }
    row_ = panel * prefill_panel_rows;
    token_ = token;
    parts_ = (min(p.tokens - token, Tile::tokens) + Tile::staged_tokens - 1) / Tile::staged_tokens;
    return sync_group_any(group + 1, any_nan<T>(largest));
  }

  /// The next part, after the one before has been read.
  template <class P>
  __device__ __forceinline__ void store_part(const P& p, std::uint32_t staging, int group) {
    const int thread = static_cast<int>(threadIdx.x & 127), lane = thread & 31, warp = thread >> 5;
    if (thread == 0) wait_stores<0>();
    sync_group(group + 1);
#pragma unroll
    for (int i = 0; i < part_pairs; ++i) {
      const int token = 16 * i + 8 * (lane >> 4) + (lane & 7), piece = 2 * warp + (lane >> 3 & 1);
      store_matrices_transposed(
          staging + static_cast<std::uint32_t>(token * 128 + ((piece ^ (token & 7)) << 4)), v_[i]);
    }
    fence_async_proxy();
    sync_group(group + 1);
    if (thread == 0) {
      store_box(p.y_map, row_, token_, staging);
      commit_stores();
    }
    token_ += Tile::staged_tokens;
    --parts_;
#pragma unroll
    for (int i = 0; i + part_pairs < pairs; ++i)
#pragma unroll
      for (int j = 0; j < 4; ++j) v_[i][j] = v_[i + part_pairs][j];
  }

 private:
  std::uint32_t v_[pairs][4];
  int parts_ = 0, row_ = 0, token_ = 0;
};

}  // namespace cross::kernels::cuda
