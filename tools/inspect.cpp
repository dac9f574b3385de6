// cross inspect: what a model holds, which tensors would be compiled, and where their zeros are.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/quote.h"
#include "commands.h"
#include "console.h"
#include "cross/error.h"
#include "density_map.h"
#include "files.h"
#include "inspect_report.h"
#include "options.h"
#include "progress.h"

namespace cross::cli {
namespace {

struct Options {
  CommonOptions common;
  std::string model, dtype = "fp32", map;
  int map_block = 0;
  Selection selection;
  LoadOptions load;
};

Inspection inspect(const Model& model, const Options& options, DType dtype) {
  const std::vector<Candidate> candidates = model.candidates(options.selection);
  Inspection result;
  result.model = options.model;
  Progress progress("inspect", options.common.quiet);
  std::size_t done = 0;
  for (const Candidate& candidate : candidates) {
    const Tensor& tensor = *candidate.tensor;
    progress.step(done++, candidates.size(), tensor.name);
    const std::string type(name_of(tensor.type));
    if (!candidate.selected) {
      result.others.push_back({tensor.name, type, candidate.reason, tensor.shape, tensor.bytes.size()});
      continue;
    }
    InspectedLayer layer{tensor.name, type, candidate.reason, analyse(tensor.matrix(), {dtype})};
    layer.analysis.maps = {};  // a large model has many, and only --map shows one
    result.layers.push_back(std::move(layer));
    model.release(tensor);
  }
  return result;
}

/// A 2-D weight by the name of its tensor or layer.
const Tensor& find_matrix(const Model& model, const std::string& name) {
  std::vector<std::string> names;
  for (const Candidate& candidate : model.candidates()) {
    const Tensor& tensor = *candidate.tensor;
    if (tensor.shape.size() != 2 || !weight_dtype(tensor.type)) continue;
    if (tensor.name == name || layer_name(tensor.name) == name) return tensor;
    if (candidate.selected && names.size() < 4) names.push_back(base::in_quotes(layer_name(tensor.name)));
  }
  throw UsageError(fmt::format("{}: has no 2-D weight {}; there are {}", model.path().string(),
                               base::in_quotes(name),
                               names.empty() ? "none" : fmt::format("{}", fmt::join(names, ", "))));
}

void run(const Options& options) {
  const DType dtype = parse_plan_dtype(options.dtype, false);
  if (options.map.empty() && options.map_block != 0)
    throw UsageError("--map-block needs --map, which names the layer to show");
  const Model model = load_model(options.model, options.load);
  if (options.map.empty()) {
    const Inspection inspection = inspect(model, options, dtype);
    if (options.common.json)
      print_json(inspection_json(inspection));
    else
      print(inspection_text(inspection));
    return;
  }
  const MatrixAnalysis analysis = analyse(find_matrix(model, options.map).matrix(), {dtype});
  const BlockMap& map = pick_map(analysis, options.map_block);
  if (options.common.json)
    print_json(density_map_json(map));
  else
    print(density_map_text(map));
}

}  // namespace

void add_inspect(CLI::App& app) {
  const auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand(
      "inspect", "show a model's tensors: which are layers, how sparse, in which format smallest");
  command->add_option("MODEL", options->model, ".safetensors, model folder, .smtx, .mtx or .npy")->required();
  command->add_option("--dtype", options->dtype, "in which sizes are counted: fp32 (default) or bf16")
      ->type_name("TYPE");
  command->add_option("--map", options->map, "draw the density of one layer instead")->type_name("LAYER");
  command
      ->add_option("--map-block", options->map_block,
                   "of 16, 64 or 128 positions (default: what fits a screen)")
      ->type_name("B");
  add_selection(*command, options->selection);
  add_seed(*command, options->load);
  add_common(*command, options->common,
             "cross inspect pruned.safetensors --map encoder.layer.0.output.dense");
  command->callback([options] { run(*options); });
}

}  // namespace cross::cli
