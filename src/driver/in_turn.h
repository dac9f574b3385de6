// Two sides timed in turn, so that a change of the machine's speed meets both.
#pragma once

#include <functional>

namespace cross::driver {

struct InTurn {
  double dense_seconds = 0, cross_seconds = 0;  ///< medians
  double speedup = 0;                           ///< median of the ratios of neighbouring runs
  double spread = 0;                            ///< (p90 − p10) / median of those ratios
  int repetitions = 0;
};

/// Each side runs once and returns the seconds that it took; 5 to 101 pairs, about `seconds` in all.
InTurn time_in_turn(const std::function<double()>& dense, const std::function<double()>& cross,
                    double seconds);

}  // namespace cross::driver
