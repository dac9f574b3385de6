// Two sides timed in turn, so that a change of the machine's speed meets both.
#pragma once

#include <functional>

#include "driver/dense_twin.h"

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

/// Times both sides in turn and writes what was measured, and each part's times per run, into a report that
/// has these fields. Networks are an Encoder or a Decoder; what they timed before is forgotten.
template <class Report, class Network>
void time_networks(Report& report, Network& dense, Network& cross, const std::function<double()>& run_dense,
                   const std::function<double()>& run_cross, double seconds) {
  dense.forget_times();
  cross.forget_times();
  const InTurn times = time_in_turn(run_dense, run_cross, seconds);
  report.repetitions = times.repetitions;
  report.dense_seconds = times.dense_seconds;
  report.cross_seconds = times.cross_seconds;
  report.speedup = times.speedup;
  report.spread = times.spread;
  report.parts = parts_per_run(dense.parts(), cross.parts(), times.repetitions);
}

}  // namespace cross::driver
