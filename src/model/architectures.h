// The architectures that run as whole models: one folder and one row of the table each.
#pragma once

#include <memory>
#include <string>

#include "cross/executor.h"
#include "cross/model.h"
#include "model/blueprint.h"
#include "model/network.h"

namespace cross::model {

/// Why `model` cannot be compiled as a whole, naming file, field, value and what is supported; empty if its
/// architecture is known. InputError if config.json is damaged.
std::string refusal(const Model& model);

/// Whether the architecture of `model` is known and a decoder's. InputError if config.json is damaged.
bool is_decoder(const Model& model);

/// InputError with the refusal, or naming what is missing in or wrong with the files of a known architecture.
Blueprint make_blueprint(const Model& model, DType dtype);

/// The network of a plan with a model part. UsageError for one that does something else, InputError for an
/// unknown architecture or parts that do not fit.
std::unique_ptr<EncoderNetwork> make_encoder(const Plan& plan, Executor& executor);
std::unique_ptr<DecoderNetwork> make_decoder(const Plan& plan, Executor& executor);

}  // namespace cross::model
