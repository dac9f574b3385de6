// cross verify: the plan's weights against the model's, its products against float64.
#include "cross/verify.h"

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
  std::string plan, model, tokens, device;
  int threads = 0;
  LoadOptions load;
};

std::string weights_text(const WeightComparison& weights) {
  if (weights.positions == 0) return "not compared";
  if (weights.differing() == 0 && weights.bias_differs == 0) return "equal";
  return fmt::format("{} differ", weights.differing() + weights.bias_differs);
}

std::string report_text(const VerifyReport& report) {
  Table table({"layer", "shape", "weights", "tokens", "rows", "rel error", "tolerance", "<result"});
  for (const LayerVerification& layer : report.layers) {
    std::vector<std::string> cells = {layer.name, fmt::format("{}x{}", layer.rows, layer.cols),
                                      weights_text(layer.weights)};
    if (layer.products.empty()) table.add({cells[0], cells[1], cells[2], "", "", "", "", "FAILED"});
    for (const ProductComparison& product : layer.products) {
      cells.resize(3);
      cells.insert(
          cells.end(),
          {std::to_string(product.tokens),
           product.rows_checked == layer.rows ? "all" : fmt::format("{} sampled", product.rows_checked),
           fmt::format("{:.1e}", product.rel_error), fmt::format("{:.1e}", product.tolerance),
           product.passed && weights_text(layer.weights) == "equal" ? "ok" : "FAILED"});
      table.add(cells);
      cells = {"", "", ""};
    }
  }
  std::string text = table.text() + "\n";
  for (const LayerVerification& layer : report.layers)
    if (!layer.passed)
      text += fmt::format("{}: {}\n", base::printable(layer.name), base::printable(layer.failure));
  if (!report.not_in_plan.empty())
    text += fmt::format(
        "{} of the model not in the plan, not checked: {}{}\n", plural(report.not_in_plan.size(), "layer"),
        base::printable(report.not_in_plan.front()), report.not_in_plan.size() > 1 ? ", ..." : "");
  return text + (report.passed() ? fmt::format("all {} passed\n", plural(report.layers.size(), "layer"))
                                 : fmt::format("{} of {} failed\n", report.failed(),
                                               plural(report.layers.size(), "layer")));
}

json layer_json(const LayerVerification& layer) {
  const WeightComparison& w = layer.weights;
  json weights = {{"positions", w.positions}, {"differing", w.differing()}, {"missing", w.missing},
                  {"extra", w.extra},         {"changed", w.changed},       {"bias_differs", w.bias_differs}};
  if (w.differing() > 0)
    weights["first"] = {{"row", w.first_row}, {"col", w.first_col}, {"got", w.got}, {"expected", w.expected}};
  json products = json::array();
  for (const ProductComparison& p : layer.products)
    products.push_back(
        {{"tokens", p.tokens},
         {"rows_checked", p.rows_checked},
         {"rel_error", p.rel_error},
         {"tolerance", p.tolerance},
         {"passed", p.passed},
         {"worst",
          {{"token", p.worst_token}, {"row", p.worst_row}, {"got", p.got}, {"expected", p.expected}}}});
  json result = {{"name", layer.name},     {"m", layer.rows},    {"k", layer.cols},
                 {"passed", layer.passed}, {"weights", weights}, {"products", products}};
  if (!layer.passed) result["failure"] = layer.failure;
  return result;
}

json report_json(const VerifyReport& report) {
  json layers = json::array();
  for (const LayerVerification& layer : report.layers) layers.push_back(layer_json(layer));
  return {{"passed", report.passed()},
          {"failed", report.failed()},
          {"layers", layers},
          {"not_in_plan", report.not_in_plan}};
}

void run(const Options& options) {
  VerifyOptions verify_options;
  verify_options.tokens = parse_tokens(options.tokens);
  verify_options.device = options.device;
  const Plan plan = load_plan(options.plan);
  const Model model = load_model(options.model, options.load);
  verify_options.threads = threads_for(plan, options.threads);
  VerifyReport report;
  {
    Progress progress("verify", options.common.quiet);
    verify_options.on_step = [&](std::size_t done, std::size_t total, std::string_view layer) {
      progress.step(done, total, layer);
    };
    report = verify(plan, model, verify_options);
  }
  if (options.common.json)
    print_json(report_json(report));
  else
    print(report_text(report));
  finish_output();
  for (const LayerVerification& layer : report.layers)
    if (!layer.passed)
      throw VerificationError(fmt::format("{} of {} failed; layer {}: {}", report.failed(),
                                          plural(report.layers.size(), "layer"), base::in_quotes(layer.name),
                                          base::printable(layer.failure)));
}

}  // namespace

void add_verify(CLI::App& app) {
  const auto options = std::make_shared<Options>();
  CLI::App* command =
      app.add_subcommand("verify", "compare a plan's weights with a model's, and its products with float64");
  command->add_option("PLAN", options->plan, "made by `cross compile`")->required();
  command->add_option("MODEL", options->model, "what the plan was compiled from")->required();
  add_tokens(*command, options->tokens,
             "token counts to run (default: those that the plan was compiled for)");
  add_device(*command, options->device);
  add_threads(*command, options->threads);
  add_seed(*command, options->load);
  add_common(*command, options->common, "cross verify pruned.plan pruned.safetensors");
  command->callback([options] { run(*options); });
}

}  // namespace cross::cli
