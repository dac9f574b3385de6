// cross prune: sets the weights that matter least to zero and writes the model again.
#include "cross/prune.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/quote.h"
#include "commands.h"
#include "console.h"
#include "cross/error.h"
#include "files.h"
#include "options.h"
#include "progress.h"
#include "table.h"

namespace cross::cli {
namespace {

using json = nlohmann::ordered_json;

struct Options {
  CommonOptions common;
  std::string model, output, method = "magnitude", scope = "layer", pattern = "unstructured";
  double sparsity = -1;
  bool has_sparsity = false;
  PruneOptions prune;
  LoadOptions load;
};

double share(std::int64_t zeros, std::int64_t elements) {
  return elements == 0 ? 0.0 : static_cast<double>(zeros) / static_cast<double>(elements);
}

PruneOptions prune_options(const Options& options) {
  PruneOptions prune = options.prune;
  if (options.method != "magnitude")
    throw UsageError(
        fmt::format("--method {} is unknown; it can be magnitude", base::in_quotes(options.method)));
  if (options.scope != "layer" && options.scope != "global")
    throw UsageError(
        fmt::format("--scope {} is unknown; it can be layer or global", base::in_quotes(options.scope)));
  prune.scope = options.scope == "global" ? PruneScope::global : PruneScope::layer;
  prune.pattern = parse_pattern(options.pattern);
  if (options.has_sparsity) prune.sparsity = options.sparsity;
  if (!prune.sparsity && prune.pattern.kind != PatternKind::n_m)
    throw UsageError(fmt::format("pattern {} needs --sparsity, for example --sparsity 0.8", options.pattern));
  return prune;
}

std::string report_text(const PruneReport& report, const std::string& output) {
  Table table({"layer", "shape", "sparse before", "after"});
  for (const PrunedLayer& layer : report.layers)
    table.add({layer.name, fmt::format("{}x{}", layer.rows, layer.cols),
               percent_text(layer.sparsity_before()), percent_text(layer.sparsity_after())});
  return table.text() + fmt::format("\n{}: {}, {} -> {} sparse in all\n", base::printable(output),
                                    plural(report.layers.size(), "layer"),
                                    percent_text(share(report.zeros_before, report.elements)),
                                    percent_text(share(report.zeros_after, report.elements)));
}

json report_json(const PruneReport& report, const std::string& output) {
  json layers = json::array();
  for (const PrunedLayer& layer : report.layers)
    layers.push_back({{"name", layer.name},
                      {"m", layer.rows},
                      {"k", layer.cols},
                      {"sparsity_before", layer.sparsity_before()},
                      {"sparsity_after", layer.sparsity_after()}});
  return {{"output", output},
          {"layers", layers},
          {"total",
           {{"elements", report.elements},
            {"sparsity_before", share(report.zeros_before, report.elements)},
            {"sparsity_after", share(report.zeros_after, report.elements)}}}};
}

void run(const Options& options) {
  const PruneOptions prune = prune_options(options);
  const Model model = load_model(options.model, options.load);
  PruneReport report;
  {
    Progress progress("prune", options.common.quiet);
    report = prune_model(model, options.output, prune, [&](const PruneProgress& at) {
      progress.step(at.done, at.layers, fmt::format("{} {}", at.step, at.layer));
    });
  }
  if (options.common.json)
    print_json(report_json(report, options.output));
  else
    print(report_text(report, options.output));
}

}  // namespace

void add_prune(CLI::App& app) {
  const auto options = std::make_shared<Options>();
  CLI::App* command =
      app.add_subcommand("prune", "set the smallest weights of a model to zero and write it again");
  command->add_option("MODEL", options->model, ".safetensors, model folder, .smtx, .mtx or .npy")->required();
  command->add_option("-o,--output", options->output, ".safetensors file, or a folder if MODEL is one")
      ->required()
      ->type_name("OUT");
  CLI::Option* sparsity =
      command->add_option("--sparsity", options->sparsity, "share of zeros to reach, from 0 to below 1")
          ->type_name("S");
  command->add_option("--method", options->method, "magnitude (default)")->type_name("NAME");
  command
      ->add_option("--scope", options->scope, "rank weights per layer (default) or global: over all of them")
      ->type_name("SCOPE");
  command
      ->add_option("--pattern", options->pattern,
                   "unstructured (default), N:M (keep N of M), block:RxC or row")
      ->type_name("PATTERN");
  command->add_flag("--overwrite", options->prune.overwrite,
                    "an output folder that holds a model may be replaced");
  add_selection(*command, options->prune.selection);
  add_seed(*command, options->load);
  add_common(*command, options->common, "cross prune model -o pruned --sparsity 0.8 --scope global");
  command->callback([options, sparsity] {
    options->has_sparsity = sparsity->count() > 0;
    run(*options);
  });
}

}  // namespace cross::cli
