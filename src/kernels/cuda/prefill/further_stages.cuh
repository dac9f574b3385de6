// Which further stages a CTA of the sparse product has.
#pragma once

#include <cstdint>

namespace cross::kernels::cuda {

/// Further stages belong to row tiles of two panels. A CTA of `groups` panels has those of every row tile
/// that it has a panel of: of one or, where it has more than two, of the next one too. Panels of the other
/// one have no part in a stage.
template <class Source, int groups>
struct FurtherStages {
  static_assert(groups >= 2 && groups <= 4);
  static constexpr bool of_one = groups == 2;
  int first_tile = 0, of_first = 0, all = 0;
  std::int64_t first = 0, second = 0;

  /// @param row_tile  of the CTAs, `groups` panels each
  __device__ __forceinline__ FurtherStages(const typename Source::Params& p, int row_tile)
      : first_tile(row_tile * groups / 2),
        of_first(Source::further_stages(p, first_tile)),
        all(of_first),
        first(Source::further_stage(p, first_tile)) {
    if constexpr (!of_one)
      if (2 * (first_tile + 1) < p.panels) {
        all += Source::further_stages(p, first_tile + 1);
        second = Source::further_stage(p, first_tile + 1) - of_first;
      }
  }
  /// Of all row tiles' stages, the q-th of these.
  __device__ __forceinline__ std::int64_t stage(int q) const {
    return (of_one || q < of_first ? first : second) + q;
  }
  /// Whether a panel has a part in it, which is the (panel mod 2)-th.
  __device__ __forceinline__ bool has(int q, int panel) const {
    return of_one || panel / 2 == first_tile + (q < of_first ? 0 : 1);
  }
};

}  // namespace cross::kernels::cuda
