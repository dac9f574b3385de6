// Which part of a sparse product a CTA has.
#pragma once

#include "kernels/cuda/prefill/further_stages.cuh"
#include "kernels/cuda/prefill/sparse_memory.cuh"
#include "kernels/cuda/prefill/sparse_stages.h"

namespace cross::kernels::cuda {

/// Tiles and stages, as all of a CTA's warps must go through them, each for itself.
template <class T, class Source, class Tile>
class SparseWork {
 public:
  using Memory = SparseMemory<T, Source, Tile>;
  using Further = FurtherStages<Source, Tile::groups>;
  static constexpr bool gathers = Gathers<Source>;

  __device__ SparseWork(const PrefillParams<T, Source>& params, const Memory& memory)
      : p_(params), m_(memory), lane_(static_cast<int>(threadIdx.x & 31)) {
    // One or two sharers: shifts, as divisions would be half of a CTA's start.
    const int rank = cluster_rank(), shift = p_.sharers - 1;
    split_ = rank >> shift;
    share_ = rank & shift;
    cluster_ = static_cast<int>(blockIdx.x / Tile::splits >> shift);
    clusters_ = static_cast<int>(gridDim.x / Tile::splits >> shift);
  }

 protected:
  __device__ __forceinline__ int tile_of(int round) const { return p_.first + round * clusters_ + cluster_; }
  __device__ __forceinline__ int row_tile_of(const PrefillTurn& turn) const {
    return turn.row_tile * p_.sharers + share_;
  }
  /// This CTA's stages of a row tile, the round-th that it works on: late further ones in the first, for
  /// columns of x may not be there yet.
  __device__ __forceinline__ SparseStages stages_of(int row_tile, int round) const {
    if constexpr (gathers)
      return {Source::own_stages(p_.source), Further(p_.source, row_tile).all, split_, Tile::splits,
              round == 0};
    else
      return {Source::own_stages(p_.source), 0, split_, Tile::splits};
  }

  const PrefillParams<T, Source>& p_;
  const Memory& m_;
  int lane_, split_, share_, cluster_, clusters_;
};

}  // namespace cross::kernels::cuda
