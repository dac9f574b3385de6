// compile: the loop over layers around compiler/compile_layer.
#include "cross/compile.h"

#include <fmt/format.h>

#include <algorithm>

#include "compiler/compile_layer.h"
#include "cross/error.h"
#include "cross/version.h"
#include "driver/layer_bias.h"
#include "driver/machine.h"
#include "driver/measure.h"
#include "driver/shipped_profiles.h"
#include "kernels/table.h"

namespace cross {
namespace {

constexpr std::string_view format_names[] = {"auto",   "mixed", "dense", "index8",
                                             "bitmap", "n_m",   "block", "dense_panel"};
constexpr std::string_view policy_names[] = {"auto", "same", "paired", "longest_first"};

template <std::size_t Size>
void require_one_of(const std::string& value, const char* what, const std::string_view (&names)[Size]) {
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
  require_one_of(options.format, "format", format_names);
  kernels::arithmetic_for(options.dtype, kernels::active_isa());  // refuses fp16
  return options;
}

}  // namespace

CostProfile find_profile(const std::filesystem::path& explicit_path, int threads) {
  if (!explicit_path.empty()) return CostProfile::load(explicit_path);
  const ProfileKey key = driver::this_machine(driver::resolve_threads(threads));
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
  std::vector<const Tensor*> weights;
  for (const Candidate& candidate : model.candidates(options.selection))
    if (candidate.selected) weights.push_back(candidate.tensor);
  if (weights.empty())
    throw UsageError(fmt::format("{}: no layer is selected; `cross inspect` lists the tensors and why",
                                 model.path().string()));

  const CostProfile profile = find_profile(options.profile, options.threads);
  const auto executor = make_openmp_executor(options.threads);
  driver::MachineMeasurer measurer(*executor);

  Plan plan;
  plan.dtype = options.dtype;
  plan.source = model.path().filename().string();
  plan.compiled_by = fmt::format("cross {}", version());
  plan.compiled_on = fmt::format("{}, {}", kernels::cpu_name(), name_of(kernels::active_isa()));
  plan.threads = options.threads;
  plan.profile = profile.key.text();
  plan.profile_source = profile.source;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    const Tensor& tensor = *weights[i];
    const std::string name(layer_name(tensor.name));
    if (options.on_layer) options.on_layer(i, weights.size(), name);
    const MatrixView weight = tensor.matrix();
    plan.layers.push_back(
        compiler::compile_layer({name, weight, driver::layer_bias(model, name, weight.rows)},
                                {options, profile, kernels::active_isa(),
                                 options.measure ? &measurer : nullptr, [&] { model.release(tensor); }}));
    model.release(tensor);
  }
  return plan;
}

}  // namespace cross
