// cross explain: what was decided for every layer of a plan, and why.
#include "cross/explain.h"

#include <CLI/CLI.hpp>
#include <memory>

#include "commands.h"
#include "console.h"
#include "files.h"
#include "options.h"

namespace cross::cli {
namespace {

struct Options {
  CommonOptions common;
  std::string plan;
  std::vector<std::string> layers;
};

void run(const Options& options) {
  Plan plan = load_plan(options.plan);
  if (!options.layers.empty()) plan = only_layers(plan, options.layers);
  print(options.common.json ? explain_json(plan) : explain_text(plan));
}

}  // namespace

void add_explain(CLI::App& app) {
  const auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand(
      "explain", "show a plan: bands, formats, kernels, times, and what was rejected for which reason");
  command->add_option("PLAN", options->plan, "made by `cross compile`")->required();
  add_layers(*command, options->layers);
  add_common(*command, options->common, "cross explain pruned.plan");
  command->callback([options] { run(*options); });
}

}  // namespace cross::cli
