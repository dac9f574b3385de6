// This machine: what a profile is keyed by, and how to time something on it.
#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <string>

#include "cross/executor.h"
#include "cross/profile.h"

namespace cross::driver {

/// Threads as asked for, or one per core. UsageError for negative counts and absurd ones.
int resolve_threads(int threads);

ProfileKey this_machine(int threads);

/// Drops `bytes` from all caches, so that the next read comes from memory.
void drop_from_caches(std::span<const std::byte> bytes);

struct TimingOptions {
  int least = 5;  ///< repetitions
  int most = 25;
  double seconds = 0.04;  ///< stop repeating after this long, once `least` is reached
  double steady = 0.05;   ///< stop once (p75 − p25) / median is below this
  /// Not before this long: a handful of short products can agree with each other and all be in a slow phase.
  double least_seconds = 0.005;
};

struct Timing {
  double median_us = 0;
  double spread = 0;  ///< (p90 − p10) / median
  int repetitions = 0;
};

/// Times `work` with `prepare` called before each repetition, untimed. Warms up once. Workers are woken
/// before each repetition, so that no product pays for threads that fell asleep meanwhile.
Timing time_cold(Executor& executor, const std::function<void()>& prepare, const std::function<void()>& work,
                 const TimingOptions& options = {});

/// Median and spread of samples in µs.
Timing summarise(std::vector<double>& samples_us);

}  // namespace cross::driver
