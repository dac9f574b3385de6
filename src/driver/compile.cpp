// compile: the loop over layers around compiler/compile_layer.
#include "cross/compile.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <optional>

#include "compiler/compile_layer.h"
#include "cross/device.h"
#include "cross/error.h"
#include "cross/version.h"
#include "driver/cuda/family.h"
#include "driver/layer_source.h"
#include "driver/machine.h"
#include "driver/measure.h"
#include "driver/shipped_profiles.h"
#include "kernels/table.h"
#include "model/architectures.h"

namespace cross {
namespace {

constexpr std::string_view format_names[] = {"auto",   "mixed", "dense", "index8",
                                             "bitmap", "n_m",   "block", "dense_panel"};
constexpr std::string_view policy_names[] = {"auto", "same", "paired", "longest_first", "by_token"};

std::vector<std::string_view> gpu_format_names() {
  std::vector<std::string_view> names = {"auto", "dense"};
  for (const Format format : gpu_formats) names.push_back(name_of(format));
  return names;
}

template <class Names>
void require_one_of(const std::string& value, const char* what, const Names& names) {
  if (std::find(std::begin(names), std::end(names), value) == std::end(names))
    throw UsageError(fmt::format("{} \"{}\" is unknown; it can be {}", what, value, fmt::join(names, ", ")));
}

CompileOptions checked(CompileOptions options) {
  options.threads = driver::resolve_threads(options.threads);
  if (options.tokens.empty())
    throw UsageError("no token counts were given; use, for example, --tokens 1,128");
  for (const std::int64_t tokens : options.tokens)
    if (tokens < 1 || tokens > (1 << 20))
      throw UsageError(fmt::format("token count {} makes no sense; use 1 to {}", tokens, 1 << 20));
  std::sort(options.tokens.begin(), options.tokens.end());
  options.tokens.erase(std::unique(options.tokens.begin(), options.tokens.end()), options.tokens.end());
  if (options.copies < 1 || options.copies > 4)
    throw UsageError(fmt::format("--copies {} makes no sense; use 1 to 4", options.copies));
  require_one_of(options.policy, "policy", policy_names);
  if (parse_device(options.device).cuda()) {
    require_one_of(options.format, "format", gpu_format_names());
  } else {
    require_one_of(options.format, "format", format_names);
    kernels::arithmetic_for(options.dtype, kernels::active_isa());  // refuses fp16
  }
  return options;
}

/// What the stages compile for, and what times their candidates.
struct Machine {
  std::optional<driver::cuda::Target> gpu;
  std::unique_ptr<Executor> executor;
  std::unique_ptr<driver::MachineMeasurer> cpu;

  Machine(const DeviceId& device, int threads) {
    if (device.cuda()) {
      gpu = driver::cuda::open_target(device.index);
      return;
    }
    executor = make_openmp_executor(threads);
    cpu = std::make_unique<driver::MachineMeasurer>(*executor);
  }
  compiler::Measurer* measurer() const { return gpu ? gpu->measurer.get() : cpu.get(); }
  std::string description() const {
    return gpu ? gpu->description
               : fmt::format("{}, {}", kernels::cpu_name(), name_of(kernels::active_isa()));
  }
};

std::vector<model::LayerSource> selected_layers(const Model& model, const Selection& selection) {
  std::vector<model::LayerSource> layers;
  for (const Candidate& candidate : model.candidates(selection)) {
    if (!candidate.selected) continue;
    const std::string name(layer_name(candidate.tensor->name));
    layers.push_back({name, {name}});
  }
  if (layers.empty())
    throw UsageError(fmt::format("{}: no layer is selected; `cross inspect` lists the tensors and why",
                                 model.path().string()));
  return layers;
}

model::Blueprint whole_model(const Model& model, const CompileOptions& options) {
  if (!options.selection.include.empty() || !options.selection.exclude.empty())
    throw UsageError("a whole model has all of its layers; --include and --exclude need --layers-only");
  if (parse_device(options.device).cuda())
    throw UsageError(
        "whole models run on the CPU; on other devices their layers are compiled (--layers-only)");
  return model::make_blueprint(model, options.dtype);
}

}  // namespace

std::string no_whole_model(const Model& model) { return model::refusal(model); }

std::vector<std::int64_t> whole_model_tokens(const Model& model) {
  if (model::is_decoder(model)) return {1, 512};
  return {16, 128, 512};
}

CostProfile find_profile(const std::filesystem::path& explicit_path, int threads, const std::string& device) {
  const DeviceId id = parse_device(device);
  const ProfileKey key = id.cuda() ? driver::cuda::profile_key(id.index)
                                   : driver::this_machine(driver::resolve_threads(threads));
  if (!explicit_path.empty()) {
    CostProfile profile = CostProfile::load(explicit_path);
    if (profile.key.device != key.device)
      throw UsageError(fmt::format("{}: is a profile of device {}; --device {} needs another",
                                   explicit_path.string(), profile.key.device, device));
    return profile;
  }
  const std::filesystem::path stored = profile_folder() / key.file_name();
  if (std::filesystem::exists(stored)) {
    CostProfile profile = CostProfile::load(stored);
    if (profile.key == key) {
      profile.source = "measured on this machine";
      return profile;
    }
  }
  return driver::shipped_profile(key);
}

Plan compile(const Model& model, const CompileOptions& given) {
  const CompileOptions options = checked(given);
  model::Blueprint blueprint = options.scope == CompileOptions::Scope::model
                                   ? whole_model(model, options)
                                   : model::Blueprint{selected_layers(model, options.selection), {}};

  const DeviceId device = parse_device(options.device);
  const CostProfile profile = find_profile(options.profile, options.threads, options.device);
  const Machine machine(device, options.threads);

  Plan plan;
  plan.device = device.family;
  plan.sm = machine.gpu ? machine.gpu->sm : 0;
  plan.sms = machine.gpu ? machine.gpu->sms : 0;
  plan.dtype = options.dtype;
  plan.source = model.path().filename().string();
  plan.compiled_by = fmt::format("cross {}", version());
  plan.compiled_on = machine.description();
  plan.threads = options.threads;
  plan.profile = profile.key.text();
  plan.profile_source = profile.source;
  for (std::size_t i = 0; i < blueprint.layers.size(); ++i) {
    const model::LayerSource& layer = blueprint.layers[i];
    if (options.on_layer) options.on_layer(i, blueprint.layers.size(), layer.name);
    const driver::LayerSource source(model, layer.parts);
    plan.layers.push_back(compiler::compile_layer(
        {layer.name, source.weight(), source.bias()},
        {options, profile, kernels::active_isa(), machine.gpu ? &machine.gpu->family : nullptr,
         options.measure ? machine.measurer() : nullptr, [&] { source.release(); }}));
    if (layer.parts != std::vector{layer.name}) plan.layers.back().parts = layer.parts;
    source.release();
  }
  if (options.scope == CompileOptions::Scope::model) plan.model = std::move(blueprint.part);
  return plan;
}

}  // namespace cross
