// Which tensors are weights of linear layers, and why.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>

#include "base/glob.h"
#include "base/quote.h"
#include "cross/error.h"
#include "cross/model.h"

namespace cross {
namespace {

constexpr std::string_view weight_suffix = ".weight";

/// A user may name the tensor or the layer.
bool glob_names(const std::string& glob, const std::string& name) {
  return base::glob_matches(glob, name) || base::glob_matches(glob, layer_name(name));
}

const std::string* first_match(const std::vector<std::string>& globs, const std::string& name) {
  const auto found =
      std::find_if(globs.begin(), globs.end(), [&](const auto& glob) { return glob_names(glob, name); });
  return found == globs.end() ? nullptr : &*found;
}

void check_globs(std::string_view option, const std::vector<std::string>& globs,
                 std::span<const Tensor> tensors) {
  for (const std::string& glob : globs) {
    if (std::any_of(tensors.begin(), tensors.end(),
                    [&](const Tensor& tensor) { return glob_names(glob, tensor.name); }))
      continue;
    constexpr std::size_t shown = 3;
    std::vector<std::string> names;
    for (const Tensor& tensor : tensors.first(std::min(shown, tensors.size())))
      names.push_back(base::in_quotes(tensor.name));
    throw UsageError(
        fmt::format("{} {}: no tensor has such a name; names are like {}", option, glob,
                    names.empty() ? "(the model has none)" : fmt::format("{}", fmt::join(names, ", "))));
  }
}

/// Whether one of the dotted parts of a name is `part`.
bool has_part(std::string_view name, std::string_view part) {
  return fmt::format(".{}.", name).find(fmt::format(".{}.", part)) != std::string::npos;
}

bool is_embedding(std::string_view name) {
  if (has_part(name, "embed_out")) return false;  // the output layer of GPT-NeoX
  return name.find("embed") != std::string_view::npos || has_part(name, "wte") || has_part(name, "wpe") ||
         has_part(name, "relative_attention_bias") || layer_name(name) == "shared";  // the last two: T5
}

bool is_norm(std::string_view name) {
  std::string lower(name);
  std::transform(lower.begin(), lower.end(), lower.begin(), [](unsigned char c) { return std::tolower(c); });
  return lower.find("norm") != std::string::npos || lower.find("ln_") != std::string::npos;
}

Candidate judge(const Tensor& tensor, const Selection& selection) {
  const auto refused = [&](std::string reason) { return Candidate{&tensor, false, std::move(reason)}; };
  const auto selected = [&](std::string reason) { return Candidate{&tensor, true, std::move(reason)}; };
  if (tensor.shape.size() != 2) return refused("not 2-D");
  if (!weight_dtype(tensor.type))
    return refused(fmt::format("{} is not F32, F16 or BF16", name_of(tensor.type)));
  if (tensor.shape[0] == 0 || tensor.shape[1] == 0) return refused("no rows or no columns");
  if (const auto* glob = first_match(selection.exclude, tensor.name)) return refused("--exclude " + *glob);
  if (!selection.include.empty()) {
    const auto* glob = first_match(selection.include, tensor.name);
    return glob != nullptr ? selected("--include " + *glob) : refused("no --include matches");
  }
  if (!tensor.name.ends_with(weight_suffix)) return refused("name does not end in .weight");
  if (is_embedding(tensor.name)) return refused("embedding");
  if (is_norm(tensor.name)) return refused("norm");
  return selected("2-D weight");
}

}  // namespace

std::string_view layer_name(std::string_view tensor_name) {
  if (tensor_name.ends_with(weight_suffix)) tensor_name.remove_suffix(weight_suffix.size());
  return tensor_name;
}

std::vector<Candidate> Model::candidates(const Selection& selection) const {
  check_globs("--include", selection.include, tensors());
  check_globs("--exclude", selection.exclude, tensors());
  std::vector<Candidate> result;
  result.reserve(tensors().size());
  for (const Tensor& tensor : tensors()) result.push_back(judge(tensor, selection));
  return result;
}

}  // namespace cross
