// Weights and activations for timing, made where they are needed.
#pragma once

#include <cstdint>

#include "cross/dtype.h"
#include "cuda/memory.h"

namespace cross::cuda {

/// Fills `buffer` with `count` values of `dtype`: each is nonzero with probability `density`, independently,
/// and then uniform in ±[1/16, 1). Deterministic in the seed. Waits.
void fill_random(const DeviceBuffer& buffer, DType dtype, std::int64_t count, double density,
                 std::uint64_t seed);

}  // namespace cross::cuda
