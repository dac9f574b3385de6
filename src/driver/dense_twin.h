// The same model with every product through one dense library: what a plan is measured against.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "cross/bench_model.h"
#include "cross/part_time.h"
#include "cross/plan.h"

namespace cross::driver {

/// A plan of the same weights, all dense; tensors of the model part are shared, not copied.
Plan dense_twin(const Plan& plan, const std::string& library);

/// Bytes of the weights as they are stored, and of the model's other tensors.
std::uint64_t stored_bytes(const Plan& plan);

/// What each part of the model took on both sides, per run, of the times of `repetitions` runs.
std::vector<ModelBenchPart> parts_per_run(std::span<const PartTime> dense, std::span<const PartTime> cross,
                                          int repetitions);

}  // namespace cross::driver
