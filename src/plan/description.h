// The JSON description inside a plan file: everything of a plan but its bytes.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "cross/plan.h"

namespace cross::plan_file {

/// Names of the tensors that hold a layer's data.
std::string packing_tensor(const std::string& layer, std::size_t packing);
std::string row_order_tensor(const std::string& layer);
std::string bias_tensor(const std::string& layer);
/// And of a tensor of the model part.
std::string model_tensor(const std::string& name);

/// The description of `plan`; `checksums` are added by the writer.
nlohmann::json describe(const Plan& plan);

/// The reverse, without data: packings have empty blobs, row orders and biases are empty, tensors of the
/// model part have names only. Throws InputError
/// naming `file` and the field for anything missing, of the wrong type or out of range.
Plan read_description(const nlohmann::json& description, const std::string& file);

/// As `describe` writes it for `explain` too.
nlohmann::json describe_decision(const LayerDecision& decision);

}  // namespace cross::plan_file
