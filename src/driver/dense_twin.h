// The same model with every product through one dense library: what a plan is measured against.
#pragma once

#include <string>

#include "cross/plan.h"

namespace cross::driver {

/// A plan of the same weights, all dense; tensors of the model part are shared, not copied.
Plan dense_twin(const Plan& plan, const std::string& library);

/// Bytes of the weights as they are stored, and of the model's other tensors.
std::uint64_t stored_bytes(const Plan& plan);

}  // namespace cross::driver
