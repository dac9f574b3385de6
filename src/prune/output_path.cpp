#include "prune/output_path.h"

#include <fmt/format.h>

#include <algorithm>
#include <system_error>

#include "cross/error.h"

namespace cross::prune_detail {
namespace {

namespace fs = std::filesystem;

fs::path resolved(const fs::path& path) {
  std::error_code error;
  fs::path result = fs::weakly_canonical(fs::absolute(path), error);
  if (error) throw UsageError(fmt::format("{}: {}", path.string(), error.message()));
  return result.has_filename() ? result : result.parent_path();  // "model/" is "model"
}

bool is_inside(const fs::path& path, const fs::path& folder) {
  const auto [rest, ignored] = std::mismatch(folder.begin(), folder.end(), path.begin(), path.end());
  return rest == folder.end();
}

void need_parent(const fs::path& output) {
  std::error_code error;
  const fs::path parent = resolved(output).parent_path();
  if (!fs::is_directory(parent, error)) {
    throw UsageError(fmt::format("{}: there is no folder {} to write to", output.string(), parent.string()));
  }
}

bool holds_a_model(const fs::path& folder) {
  return fs::exists(folder / "config.json") || fs::exists(folder / "model.safetensors") ||
         fs::exists(folder / "model.safetensors.index.json");
}

}  // namespace

void check_output_file(const fs::path& input, const fs::path& output) {
  std::error_code error;
  if (output.extension() != ".safetensors") {
    throw UsageError(
        fmt::format("{}: the pruned model is a .safetensors file and must be named so", output.string()));
  }
  if (fs::is_directory(output, error)) {
    throw UsageError(
        fmt::format("{}: is a folder; the model is a file, so the output must be one", output.string()));
  }
  if (resolved(input) == resolved(output) || fs::equivalent(input, output, error)) {
    throw UsageError(fmt::format("{}: input and output are the same file", output.string()));
  }
  need_parent(output);
}

fs::path check_output_folder(const fs::path& input, const fs::path& output, bool overwrite) {
  std::error_code error;
  if (output.empty()) throw UsageError("the output path is empty");
  const fs::path from = resolved(input), to = resolved(output);
  if (from == to) throw UsageError(fmt::format("{}: input and output are the same folder", output.string()));
  if (is_inside(to, from)) {
    throw UsageError(fmt::format("{}: the output lies inside the input {}", output.string(), input.string()));
  }
  if (is_inside(from, to)) {
    throw UsageError(fmt::format("{}: the output contains the input {}", output.string(), input.string()));
  }
  need_parent(output);
  if (!fs::exists(to, error)) return to;
  if (!fs::is_directory(to, error)) {
    throw UsageError(
        fmt::format("{}: is a file; the model is a folder, so the output must be one", output.string()));
  }
  if (fs::is_empty(to, error)) return to;
  if (!overwrite) {
    throw UsageError(fmt::format("{}: the folder exists and is not empty; name a new one, or use --overwrite",
                                 output.string()));
  }
  if (!holds_a_model(to)) {
    throw UsageError(
        fmt::format("{}: the folder does not hold a model, so --overwrite will not delete it; name a new "
                    "one",
                    output.string()));
  }
  return to;
}

}  // namespace cross::prune_detail
