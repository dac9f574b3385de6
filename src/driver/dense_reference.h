// What plans of whole models are compared with: the model as it is, dense and in fp32.
#pragma once

#include "cross/model.h"
#include "cross/plan.h"

namespace cross::driver {

/// InputError if `reference` is no model that runs as a whole.
Plan dense_reference(const Model& reference, int threads);

}  // namespace cross::driver
