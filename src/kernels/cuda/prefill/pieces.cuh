// What a cluster does one after the other: whole tiles, then an equal share of the blocks of all tiles that
// do not fill a round of the GPU.
#pragma once

#include "kernels/cuda/prefill/tile.cuh"

namespace cross::kernels::cuda {

/// Units [first, last) of a tile's K.
struct PrefillPiece {
  int tile, first, last;
};

/// Walks through a cluster's pieces. Shares of the tiles that are cut are numbered backwards: whoever waits
/// for sums waits for CTAs that were launched before it, and these wait for no one before they leave theirs.
template <class P>
class PrefillPieces {
 public:
  __device__ __forceinline__ PrefillPieces(const P& p, int cluster, int clusters)
      : p_(p), cluster_(cluster), clusters_(clusters) {
    unit_ = first_of(share());
    end_ = first_of(share() + 1);
    shared_ = unit_ / p_.tile_units;
  }

  __device__ __forceinline__ bool more() const { return whole() ? tile() < p_.whole_tiles : first() < end_; }
  __device__ __forceinline__ PrefillPiece piece() const {
    if (whole()) return {tile(), 0, p_.tile_units};
    const int begin = shared() * p_.tile_units;
    return {p_.whole_tiles + shared(), first() - begin, min(p_.tile_units, end_ - begin)};
  }
  /// One number counts: with more to change from piece to piece the compiler takes warps to diverge, and
  /// keeps places in rings in registers of every lane.
  __device__ __forceinline__ void next() { ++round_; }

  __device__ __forceinline__ int share() const { return clusters_ - 1 - cluster_; }
  /// Whether the first piece of the share begins within a tile, so that its sums are left for another
  /// share.
  __device__ __forceinline__ bool leaves() const { return unit_ < end_ && unit_ > shared_ * p_.tile_units; }
  /// The share that has the first unit of that tile.
  __device__ __forceinline__ int left_for() const {
    const int at = shared_ * p_.tile_units, longer = p_.longer_shares * (p_.share_units + 1);
    return at < longer ? at / (p_.share_units + 1) : p_.longer_shares + (at - longer) / p_.share_units;
  }
  /// Whether a share after this one has units of this piece's tile: then it is the last of this share.
  __device__ __forceinline__ bool shares_last_tile(int share) const {
    return first_of(share) < (whole() ? 0 : (shared() + 1) * p_.tile_units);
  }

 private:
  /// Rounds go there and back, so that a CTA that had a long tile of a sorted list gets a short one.
  __device__ __forceinline__ int tile() const {
    return round_ * clusters_ + (round_ % 2 == 0 ? cluster_ : clusters_ - 1 - cluster_);
  }
  __device__ __forceinline__ bool whole() const { return round_ < p_.whole_rounds; }
  __device__ __forceinline__ int shared() const { return shared_ + round_ - p_.whole_rounds; }
  __device__ __forceinline__ int first() const { return max(unit_, shared() * p_.tile_units); }
  __device__ __forceinline__ int first_of(int share) const {
    return share * p_.share_units + min(share, p_.longer_shares);
  }

  const P& p_;
  int cluster_, clusters_, round_ = 0;
  int unit_, end_, shared_;  ///< the share: its units, counted over all tiles that are cut, and first tile
};

}  // namespace cross::kernels::cuda
