// What a CTA of the sparse product does for further stages: columns of x, turned and gathered.
#pragma once

#include "kernels/cuda/prefill/gather_columns.cuh"
#include "kernels/cuda/prefill/sparse_work.cuh"
#include "kernels/cuda/prefill/turn_columns.cuh"

namespace cross::kernels::cuda {

template <class T, class Source, class Tile>
class SparseGather : public SparseWork<T, Source, Tile> {
  using Base = SparseWork<T, Source, Tile>;
  using Base::p_, Base::m_, Base::lane_, Base::tile_of, Base::row_tile_of, Base::stages_of;
  using typename Base::Further;

 public:
  using Base::Base;

  /// Whether the multiplying warps turn x, each a share of it.
  __device__ __forceinline__ bool turns() const {
    return p_.source.turning.turned != nullptr && p_.part != PrefillPart::tail;
  }
  __device__ __forceinline__ TransposeArgs transposing() const {
    const auto* const x = reinterpret_cast<const std::byte*>(p_.x);
    const auto strips = static_cast<std::int32_t>(transposed_strips(p_.cols));
    return {x, p_.source.columns, p_.source.lifted, p_.tokens, p_.cols, strips, 0};
  }
  /// Of the units of x a multiplying warp turns one, which is on its way while the CTA makes its barriers.
  /// The warps that gather turn all others.
  __device__ __forceinline__ TransposedUnit multipliers_unit() const {
    // Backwards: the first warp has barriers to make.
    const std::int64_t warp = multipliers - 1 - (threadIdx.x >> 5);
    TransposedUnit unit(transposing(), warp * gridDim.x + blockIdx.x, lane_);
    unit.load(transposing());
    return unit;
  }
  __device__ __forceinline__ void turn(const TransposedUnit& unit) const {
    unit.store(transposing());
    arrive_named(turned_barrier, turning_threads);
  }

  /// A warp's part in gathering X of further stages.
  __device__ void gather() const {
    if (p_.source.columns == nullptr) return;
    const int warp = static_cast<int>(threadIdx.x >> 5 & 3) - 1;
    if (p_.part != PrefillPart::tail) wait_for_predecessor();
    if (const ColumnTurning& turning = p_.source.turning; turning.turned != nullptr) {
      if (turns()) {
        const std::int64_t ctas = gridDim.x;
        turn_columns(transposing(), (multipliers + warp) * ctas + blockIdx.x, ctas * sparse_gatherers, lane_);
        if (warp == 0) {
          sync_named(turned_barrier, turning_threads);
          if (lane_ == 0) count_up(turning.turned);
        } else {
          arrive_named(turned_barrier, turning_threads);
        }
      }
      wait_until_turned(turning, transposing(), lane_);
    }
    const int blocks = (p_.tokens + transposed_tokens - 1) / transposed_tokens;
    int place = 0, gathered = 0;
    for (int round = 0, tile = tile_of(0); tile < p_.last; tile = tile_of(++round)) {
      const PrefillTurn turn(p_, tile);
      const int row_tile = row_tile_of(turn);
      const SparseStages stages = stages_of(row_tile, round);
      // Past the last block the last one again, for outputs that nobody stores.
      const int block =
          min(turn.token_tile * (Tile::tokens / transposed_tokens) + lane_ % column_lanes<Tile::tokens> / 8,
              blocks - 1);
      const std::byte* const x =
          p_.source.columns + block * p_.cols * (transposed_tokens * 2) + lane_ % 8 * 16;
      const Further further(p_.source, row_tile);
      for (int i = 0; i < stages.further; ++i, ++gathered) {
        const auto* const names = reinterpret_cast<const uint4*>(
            p_.source.column + further.stage(stages.further_first + i) * prefill_chunk_cols);
        place = (place + stages.own_before(i)) % p_.x_places;
        gather_columns<Tile::tokens, sparse_gatherers>(
            x, names, warp, m_.x(place), m_.wanted(gathered),
            static_cast<std::uint32_t>(gathered / prefill_most_places & 1), m_.gathered(gathered));
        place = place + 1 == p_.x_places ? 0 : place + 1;
      }
      place = (place + stages.own_before(stages.further)) % p_.x_places;
    }
  }

 private:
  static constexpr int multipliers = Tile::groups * 4;  ///< warps
  /// Of all of these warps; outputs have a barrier for each warp group.
  static constexpr int turned_barrier = Tile::groups + 1;
  static constexpr int turning_threads = (multipliers + sparse_gatherers) * 32;
};

}  // namespace cross::kernels::cuda
