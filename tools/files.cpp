#include "files.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "base/quote.h"
#include "cross/error.h"
#include "cross/executor.h"

namespace cross::cli {
namespace {

namespace fs = std::filesystem;

bool has_plan_metadata(const Model& model) { return model.metadata().contains("cross.plan_version"); }

bool same_file(const fs::path& a, const fs::path& b) {
  std::error_code absent;  // counts as different
  return fs::equivalent(a, b, absent);
}

}  // namespace

bool is_plan(const fs::path& path) {
  std::error_code error;
  if (!fs::exists(path, error)) throw UsageError(fmt::format("{}: no such file or folder", path.string()));
  if (fs::is_directory(path, error)) return false;
  const std::string extension = path.extension().string();
  if (extension == ".smtx" || extension == ".mtx" || extension == ".npy") return false;
  return extension != ".safetensors" || has_plan_metadata(Model::load(path));
}

Model load_model(const fs::path& path, const LoadOptions& options) {
  Model model = Model::load(path, options);
  if (has_plan_metadata(model))
    throw UsageError(fmt::format("{}: is a plan, not a model; `cross explain` shows it", path.string()));
  return model;
}

Plan load_plan(const fs::path& path) {
  if (!is_plan(path))
    throw UsageError(
        fmt::format("{}: is a model, not a plan; `cross compile` makes one of it", path.string()));
  return Plan::load(path);
}

int threads_for(const Plan& plan, int asked) {
  return asked != 0 ? asked : std::min(plan.threads, available_cores());
}

std::size_t find_layer(const Plan& plan, const std::string& name) {
  std::vector<std::string> names;
  for (std::size_t i = 0; i < plan.layers.size(); ++i) {
    if (plan.layers[i].name == name) return i;
    if (names.size() < 4) names.push_back(base::in_quotes(plan.layers[i].name));
  }
  const std::size_t more = plan.layers.size() - names.size();
  throw UsageError(fmt::format("the plan has no layer {}; it has {}{}", base::in_quotes(name),
                               fmt::join(names, ", "), more > 0 ? fmt::format(" and {} more", more) : ""));
}

Plan only_layers(const Plan& plan, const std::vector<std::string>& names) {
  std::vector<bool> wanted(plan.layers.size());
  for (const std::string& name : names) wanted[find_layer(plan, name)] = true;
  Plan result = plan;
  result.layers.clear();
  result.model.reset();
  for (std::size_t i = 0; i < plan.layers.size(); ++i)
    if (wanted[i]) result.layers.push_back(plan.layers[i]);
  return result;
}

void check_output(const fs::path& output, std::initializer_list<fs::path> inputs) {
  std::error_code error;
  if (output.empty()) throw UsageError("the path to write to is empty");
  if (fs::is_directory(output, error))
    throw UsageError(fmt::format("{}: is a folder; name a file to write", output.string()));
  const fs::path folder = output.parent_path();
  if (!folder.empty() && !fs::is_directory(folder, error))
    throw UsageError(
        fmt::format("{}: there is no folder {} to write it in", output.string(), folder.string()));
  for (const fs::path& input : inputs)
    if (same_file(output, input))
      throw UsageError(
          fmt::format("{}: would overwrite what it is made from; write to another path", output.string()));
}

void check_output(const fs::path& output, const Model& model) {
  check_output(output, {model.path()});
  std::error_code error;
  for (const Tensor& tensor : model.tensors()) check_output(output, {tensor.file});
  if (fs::is_directory(model.path(), error) && fs::exists(output, error) &&
      same_file(output.has_parent_path() ? output.parent_path() : fs::path("."), model.path()))
    throw UsageError(
        fmt::format("{}: would overwrite a file of the model; write to another path", output.string()));
}

}  // namespace cross::cli
