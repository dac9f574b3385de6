// In which order CTAs work on the tiles of a block_tiles product, and the steps of those tiles.
#pragma once

#include "kernels/cuda/prefill/block_source.cuh"
#include "kernels/cuda/prefill/tile.cuh"

namespace cross::kernels::cuda {

/// Deals tiles, which stand in descending order of their work, to the CTAs of a persistent grid. CTAs that
/// get one tile less than others take the longest ones. Both kinds are dealt there and back, which gives
/// those in the middle of the row less than those at its ends, or more; so every other time each half of the
/// row is dealt from its end.
class TileDeal {
 public:
  __device__ __forceinline__ TileDeal(int tiles, int workers, int worker) {
    rounds_ = (tiles + workers - 1) / workers;
    const int full = tiles - (rounds_ - 1) * workers, fewer = workers - full;
    if (worker < fewer) {
      first_ = 0;
      --rounds_;
      width_ = fewer;
      at_ = worker;
    } else {
      first_ = fewer * (rounds_ - 1);
      width_ = full;
      at_ = worker - fewer;
    }
  }
  __device__ __forceinline__ bool has(int round) const { return round < rounds_; }
  __device__ __forceinline__ int tile(int round) const {
    const int half = width_ / 2, turned = at_ < half ? half - 1 - at_ : width_ + half - 1 - at_;
    const int at = round % 4 < 2 ? at_ : turned;
    return first_ + round * width_ + (round % 2 == 0 ? at : width_ - 1 - at);
  }

 private:
  int first_, rounds_, width_, at_;
};

/// A warp's way through the steps of its CTA's tiles, 32 at a time, a lane each. Those of the next tile are
/// loaded while this one is worked on, and where those of the one after stand: nothing waits for memory.
template <class Params>
class StepWalk {
 public:
  __device__ __forceinline__ StepWalk(const Params& p, TileDeal deal, int lane)
      : p_(p), deal_(deal), lane_(lane), now_(find(0)) {
    word_ = load(now_.first, now_.last);
    next_ = find(1);
    after_ = find(2);
    load_ahead();
  }
  __device__ __forceinline__ bool more() const { return now_.token_tile >= 0; }
  __device__ __forceinline__ int token_tile() const { return now_.token_tile; }
  /// Of lanes 0 and 1: a panel of the pair; one that is not there is the number of panels.
  __device__ __forceinline__ std::uint32_t panel() const { return now_.panel; }
  __device__ __forceinline__ std::uint32_t word() const { return word_; }
  __device__ __forceinline__ int count() const { return static_cast<int>(min(now_.last - now_.first, 32u)); }
  __device__ __forceinline__ bool ends_tile() const { return now_.first + 32 >= now_.last; }
  __device__ __forceinline__ void next() {
    word_ = word_after_;
    if (!ends_tile()) {
      now_.first += 32;
    } else {
      now_ = next_;
      next_ = after_;
      after_ = find(++round_ + 2);
    }
    load_ahead();
  }

 private:
  struct Range {
    int token_tile = -1;
    std::uint32_t first = 0, last = 0, panel = 0;
  };
  __device__ __forceinline__ Range find(int round) const {
    Range r;
    if (!deal_.has(round)) return r;
    const PrefillTurn turn(p_, deal_.tile(round));
    r.token_tile = turn.token_tile;
    r.first = __ldg(p_.source.first_step + turn.row_tile);
    r.last = __ldg(p_.source.first_step + turn.row_tile + 1);
    r.panel = static_cast<std::uint32_t>(p_.source.panels);
    if (const int i = 2 * turn.row_tile + lane_; lane_ < 2 && i < p_.source.panels)
      r.panel = __ldg(p_.source.order + i);
    return r;
  }
  __device__ __forceinline__ std::uint32_t load(std::uint32_t at, std::uint32_t last) const {
    return at + static_cast<std::uint32_t>(lane_) < last ? __ldg(p_.source.step + at + lane_) : 0;
  }
  __device__ __forceinline__ void load_ahead() {
    word_after_ = ends_tile() ? load(next_.first, next_.last) : load(now_.first + 32, now_.last);
  }

  const Params& p_;
  TileDeal deal_;
  int lane_, round_ = 0;
  Range now_, next_, after_;
  std::uint32_t word_, word_after_;
};

}  // namespace cross::kernels::cuda
