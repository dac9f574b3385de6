// Encoders of the BERT family: MiniLM, bge, e5, bert-base.
//
//   x = LayerNorm(word + position + type)
//   per layer:  q, k, v = x·Wᵀ + b            one product
//               x = LayerNorm(x + softmax(q·kᵀ/√d)·v·Wᵀ + b)
//               x = LayerNorm(x + gelu(x·Wᵀ + b)·Wᵀ + b)
//   embedding = mean of x over the sentence, or x of its first token; divided by its length if the model says
//   so
#pragma once

#include <memory>
#include <nlohmann/json.hpp>

#include "cross/executor.h"
#include "cross/model.h"
#include "model/blueprint.h"
#include "model/network.h"

namespace cross::model::bert {

/// From the folder of `model`; `config` is its parsed config.json.
Blueprint make_blueprint(const Model& model, const nlohmann::json& config, DType dtype);
std::unique_ptr<EncoderNetwork> make_encoder(const Plan& plan, Executor& executor);

}  // namespace cross::model::bert
