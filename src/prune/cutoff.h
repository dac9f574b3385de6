// The lowest scores of a stream, exactly, without holding the stream.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "prune/scores.h"

namespace cross::prune_detail {

/// Says of each unit, asked in the order of ranking, whether it is among the lowest.
class Cutoff {
 public:
  Cutoff() = default;  ///< prunes nothing
  Cutoff(Score score, std::uint64_t ties) : score_(score), ties_(ties) {}

  /// Ties are used up in the order of the calls.
  bool prunes(Score score) {
    if (score != score_) return score < score_;
    if (ties_ == 0) return false;
    --ties_;
    return true;
  }

 private:
  Score score_ = 0;
  std::uint64_t ties_ = 0;  // units with exactly score_ that are still to be pruned
};

/// Finds the `target` lowest scores by two passes over histograms of 2^16 bins: the upper halves of the
/// scores, then the lower halves within the bin that the target falls into.
class CutoffSearch {
 public:
  explicit CutoffSearch(std::uint64_t target) : counts_(bins), target_(target) {}

  void count_upper(Score score) { ++counts_[score >> 16]; }
  /// Between the passes.
  void choose_upper() {
    upper_ = choose();
    counts_.assign(bins, 0);
  }
  void count_lower(Score score) {
    if (score >> 16 == upper_) ++counts_[score & 0xffffu];
  }
  Cutoff finish() {
    if (target_ == 0) return {};
    const Score lower = choose();
    return {upper_ << 16 | lower, target_};
  }

 private:
  static constexpr std::size_t bins = std::size_t{1} << 16;

  /// The bin that holds the target-th lowest; takes the ones before it off the target.
  Score choose() {
    std::size_t bin = 0;
    while (bin + 1 < bins && counts_[bin] < target_) target_ -= counts_[bin++];
    return static_cast<Score>(bin);
  }

  std::vector<std::uint64_t> counts_;
  std::uint64_t target_;
  Score upper_ = 0;
};

}  // namespace cross::prune_detail
