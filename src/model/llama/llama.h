// Decoders of the Llama family: Llama, Mistral, Qwen2.
//
//   x = word
//   per layer:  q, k, v = norm(x)·Wᵀ + b            one product; rotated by position, k and v remembered
//               x = x + softmax(q·kᵀ/√d)·v·Wᵀ + b   over the tokens so far
//               gate, up = norm(x)·Wᵀ + b           one product
//               x = x + (silu(gate)·up)·Wᵀ + b
//   logits = norm(x)·Wᵀ
#pragma once

#include <memory>
#include <nlohmann/json.hpp>

#include "cross/executor.h"
#include "cross/model.h"
#include "model/blueprint.h"
#include "model/network.h"

namespace cross::model::llama {

/// From the folder of `model`; `config` is its parsed config.json.
Blueprint make_blueprint(const Model& model, const nlohmann::json& config, DType dtype);
std::unique_ptr<DecoderNetwork> make_decoder(const Plan& plan, Executor& executor);

}  // namespace cross::model::llama
