// The bias that belongs to a weight.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cross/model.h"

namespace cross::driver {

/// NAME.bias of a layer NAME with `rows` outputs, widened to fp32; empty if the model has none that fits.
std::vector<float> layer_bias(const Model& model, const std::string& layer, std::int64_t rows);

}  // namespace cross::driver
