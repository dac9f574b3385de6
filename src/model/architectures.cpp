#include "model/architectures.h"

#include <fmt/format.h>

#include "base/quote.h"
#include "base/strict_json.h"
#include "cross/error.h"
#include "model/bert/bert.h"
#include "model/llama/llama.h"

namespace cross::model {
namespace {

using nlohmann::json;

struct Architecture {
  const char* name;  ///< as config.json has it; models with a head on top share the encoder below
  Blueprint (*blueprint)(const Model& model, const json& config, DType dtype);
  std::unique_ptr<EncoderNetwork> (*encoder)(const Plan& plan, Executor& executor);  ///< or nullptr
  std::unique_ptr<DecoderNetwork> (*decoder)(const Plan& plan, Executor& executor);  ///< or nullptr
};

constexpr Architecture architectures[] = {
    {"BertModel", bert::make_blueprint, bert::make_encoder, nullptr},
    {"BertForMaskedLM", bert::make_blueprint, bert::make_encoder, nullptr},
    {"BertForPreTraining", bert::make_blueprint, bert::make_encoder, nullptr},
    {"LlamaForCausalLM", llama::make_blueprint, nullptr, llama::make_decoder},
    {"MistralForCausalLM", llama::make_blueprint, nullptr, llama::make_decoder},
    {"Qwen2ForCausalLM", llama::make_blueprint, nullptr, llama::make_decoder},
};

const Architecture* find(const std::string& name) {
  for (const Architecture& architecture : architectures)
    if (architecture.name == name) return &architecture;
  return nullptr;
}

std::string known() {
  std::string names;
  for (const Architecture& architecture : architectures)
    names += fmt::format("{}{}", names.empty() ? "" : ", ", architecture.name);
  return names;
}

std::string config_name(const Model& model) { return (model.path() / "config.json").string(); }

/// The architecture that config.json names, with its text parsed; or why there is none.
struct Found {
  const Architecture* architecture = nullptr;
  json config;
  std::string refusal;
};

Found look(const Model& model) {
  if (!model.config())
    return {nullptr,
            {},
            fmt::format("{}: has no config.json, which says what model it is; whole models are read "
                        "from Hugging Face folders",
                        model.path().string())};
  json config = base::parse_strict_json(*model.config(), config_name(model));
  const json names = config.is_object() ? config.value("architectures", json()) : json();
  if (!names.is_array() || names.size() != 1 || !names[0].is_string())
    return {nullptr,
            {},
            fmt::format("{}: \"architectures\" is {}; it must name one of {}", config_name(model),
                        names.dump(-1, ' ', true).substr(0, 80), known())};
  const auto name = names[0].get<std::string>();
  const Architecture* architecture = find(name);
  if (architecture == nullptr)
    return {nullptr,
            {},
            fmt::format("{}: \"architectures\" is {}, which does not run as a whole model; {} do",
                        config_name(model), base::in_quotes(name), known())};
  return {architecture, std::move(config), {}};
}

const Architecture& architecture_of(const Plan& plan) {
  if (!plan.model)
    throw UsageError(
        "the plan holds layers alone, not a whole model; `cross compile FOLDER` makes a model plan of a "
        "folder with a known architecture");
  if (plan.device != "cpu")
    throw UsageError("whole models run on the CPU; compile the model with --device cpu");
  const Architecture* architecture = find(plan.model->architecture);
  if (architecture == nullptr)
    throw InputError(fmt::format("the plan holds a model of architecture {}, this build runs {}",
                                 base::in_quotes(plan.model->architecture), known()));
  return *architecture;
}

}  // namespace

std::string refusal(const Model& model) { return look(model).refusal; }

bool is_decoder(const Model& model) {
  const Architecture* architecture = look(model).architecture;
  return architecture != nullptr && architecture->decoder != nullptr;
}

Blueprint make_blueprint(const Model& model, DType dtype) {
  const Found found = look(model);
  if (found.architecture == nullptr) throw InputError(found.refusal);
  Blueprint blueprint = found.architecture->blueprint(model, found.config, dtype);
  blueprint.part.architecture = found.architecture->name;
  return blueprint;
}

std::unique_ptr<EncoderNetwork> make_encoder(const Plan& plan, Executor& executor) {
  const Architecture& architecture = architecture_of(plan);
  if (architecture.encoder == nullptr)
    throw UsageError(fmt::format("the plan holds a {}, which continues text; embeddings come from an encoder",
                                 architecture.name));
  return architecture.encoder(plan, executor);
}

std::unique_ptr<DecoderNetwork> make_decoder(const Plan& plan, Executor& executor) {
  const Architecture& architecture = architecture_of(plan);
  if (architecture.decoder == nullptr)
    throw UsageError(fmt::format("the plan holds a {}, which embeds text; only a decoder continues it",
                                 architecture.name));
  return architecture.decoder(plan, executor);
}

}  // namespace cross::model

namespace cross {

ModelKind model_kind(const Plan& plan) {
  return model::architecture_of(plan).decoder != nullptr ? ModelKind::decoder : ModelKind::encoder;
}

}  // namespace cross
