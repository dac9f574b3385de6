// What this machine can do at most: the denominators of "fraction of the limit".
#pragma once

#include "cross/executor.h"

namespace cross::driver {

/// GB/s that all workers together read from memory (buffer of eight times the last cache level, 256 MiB at
/// most).
double measure_bandwidth(Executor& executor);

/// GFLOP/s of fp32 multiply-adds in registers, all workers together, with the active ISA.
double measure_peak(Executor& executor);

}  // namespace cross::driver
