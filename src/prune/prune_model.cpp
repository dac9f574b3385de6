#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <set>
#include <unordered_set>

#include "cross/error.h"
#include "cross/prune.h"
#include "io/conv1d.h"
#include "io/safetensors_writer.h"
#include "prune/options.h"
#include "prune/output_path.h"
#include "prune/prune_layer.h"
#include "prune/staged_folder.h"

namespace cross {
namespace prune_detail {
namespace {

namespace fs = std::filesystem;

std::vector<const Tensor*> selected_layers(const Model& model, const Selection& selection) {
  std::vector<const Tensor*> layers;
  for (const Candidate& candidate : model.candidates(selection)) {
    if (candidate.selected) layers.push_back(candidate.tensor);
  }
  if (layers.empty()) {
    throw UsageError(fmt::format("{}: none of the {} tensors is selected, so there is nothing to prune",
                                 model.path().string(), model.tensors().size()));
  }
  return layers;
}

/// Prunes the tensors of a model one after the other, in the order in which they are written.
class Pruner {
 public:
  Pruner(const Model& model, const PruneOptions& options,
         const std::function<void(const PruneProgress&)>& progress)
      : model_(model),
        options_(options),
        progress_(progress),
        layers_(selected_layers(model, options.selection)) {
    selected_.insert(layers_.begin(), layers_.end());
    if (options_.scope == PruneScope::global) rank_all();
  }

  /// Writes tensors that follow each other in one file.
  void write(const fs::path& path, std::span<const Tensor> tensors,
             const std::map<std::string, std::string>& metadata) {
    std::vector<io::TensorHeader> headers;
    headers.reserve(tensors.size());
    for (const Tensor& tensor : tensors) {
      headers.push_back({tensor.name, tensor.type, tensor.shape});
      if (tensor.turned) std::swap(headers.back().shape[0], headers.back().shape[1]);
    }
    io::SafetensorsWriter writer(path, std::move(headers), metadata);
    for (const Tensor& tensor : tensors) {
      const std::span<const std::byte> bytes = selected_.contains(&tensor) ? pruned(tensor) : tensor.bytes;
      if (tensor.turned)  // as the model's own code wants it
        writer.append(io::transposed(bytes, tensor.type, tensor.shape[0], tensor.shape[1]).bytes());
      else
        writer.append(bytes);
      model_.release(tensor);
    }
    writer.commit();
  }

  PruneReport report() && { return std::move(report_); }

 private:
  /// One cutoff for all layers: they are read twice, and only histograms are kept.
  void rank_all() {
    std::int64_t units = 0;
    for (const Tensor* tensor : layers_) units += count_units(tensor->matrix(), options_.pattern);
    CutoffSearch search(target_of(options_.sparsity.value(), units));
    std::size_t done = 0;
    const auto each = [&](auto&& count) {
      for (const Tensor* tensor : layers_) {
        for_each_unit(tensor->matrix(), options_.pattern, tensor->name,
                      [&](Score score, const UnitRange&) { count(score); });
        model_.release(*tensor);
        tell("rank", *tensor, ++done, 2 * layers_.size());
      }
    };
    each([&](Score score) { search.count_upper(score); });
    search.choose_upper();
    each([&](Score score) { search.count_lower(score); });
    cutoff_ = search.finish();
  }

  std::span<const std::byte> pruned(const Tensor& tensor) {
    const MatrixView weights = tensor.matrix();
    buffer_.resize(std::max(buffer_.size(), weights.bytes()));
    const auto bytes = std::span(buffer_).first(weights.bytes());
    const bool own_cutoff = options_.scope == PruneScope::layer && options_.pattern.kind != PatternKind::n_m;
    if (own_cutoff) cutoff_ = cutoff_of(weights, options_, tensor.name);
    PrunedLayer layer = apply(weights, bytes, options_.pattern, cutoff_, tensor.name);
    report_.elements += weights.elements();
    report_.zeros_before += layer.zeros_before;
    report_.zeros_after += layer.zeros_after;
    report_.layers.push_back(std::move(layer));
    tell("prune", tensor, report_.layers.size(), layers_.size());
    return bytes;
  }

  void tell(std::string_view step, const Tensor& tensor, std::size_t done, std::size_t layers) const {
    if (progress_) progress_({step, tensor.name, done, layers});
  }

  const Model& model_;
  const PruneOptions& options_;
  const std::function<void(const PruneProgress&)>& progress_;
  std::vector<const Tensor*> layers_;
  std::unordered_set<const Tensor*> selected_;
  Cutoff cutoff_;
  std::vector<std::byte> buffer_;
  PruneReport report_;
};

/// Tensors of one file, which stand together.
std::span<const Tensor> first_file(std::span<const Tensor> tensors) {
  const auto other = std::find_if(tensors.begin(), tensors.end(),
                                  [&](const Tensor& tensor) { return tensor.file != tensors.front().file; });
  return tensors.first(static_cast<std::size_t>(other - tensors.begin()));
}

void write_folder(const Model& model, const fs::path& output, Pruner& pruner) {
  const fs::path input = model.path().has_filename() ? model.path() : model.path().parent_path();  // "model/"
  StagedFolder staged(output);
  std::set<fs::path> shards;
  for (auto rest = model.tensors(); !rest.empty();) {
    const auto tensors = first_file(rest);
    const fs::path& file = tensors.front().file;
    const fs::path name = file.lexically_relative(input);
    // The model knows the metadata of its first shard only.
    pruner.write(staged.path() / name, tensors,
                 shards.empty() ? model.metadata() : Model::load(file).metadata());
    shards.insert(name);
    rest = rest.subspan(tensors.size());
  }
  staged.copy_others(input, shards);
  staged.commit();
}

}  // namespace
}  // namespace prune_detail

PruneReport prune_model(const Model& model, const std::filesystem::path& output, const PruneOptions& options,
                        const std::function<void(const PruneProgress&)>& progress) {
  namespace detail = prune_detail;
  detail::check(options);
  std::error_code error;
  if (std::filesystem::is_directory(model.path(), error)) {
    const auto target = detail::check_output_folder(model.path(), output, options.overwrite);
    detail::Pruner pruner(model, options, progress);
    detail::write_folder(model, target, pruner);
    return std::move(pruner).report();
  }
  detail::check_output_file(model.path(), output);
  detail::Pruner pruner(model, options, progress);
  pruner.write(output, model.tensors(), model.metadata());
  return std::move(pruner).report();
}

}  // namespace cross
