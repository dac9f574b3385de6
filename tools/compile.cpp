// cross compile: a model → a plan.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/atomic_file.h"
#include "base/quote.h"
#include "commands.h"
#include "compile_options.h"
#include "console.h"
#include "cross/error.h"
#include "cross/explain.h"
#include "files.h"
#include "options.h"
#include "table.h"

namespace cross::cli {
namespace {

using json = nlohmann::ordered_json;

constexpr std::string_view stages[] = {"analyse", "reorder", "cost", "partition", "pack", "balance", "all"};

struct Options {
  CommonOptions common;
  CompileFlags flags;
  std::string model, plan;
  bool explain = false;
  bool layers_only = false, whole_model = false;
  std::string dump_stage, dump_to;

  bool dumps_to_stdout() const { return !dump_stage.empty() && dump_to.empty(); }
};

/// Writes one JSON line per layer for the stage that was asked for.
class StageDump {
 public:
  explicit StageDump(const Options& options) : stage_(options.dump_stage) {
    if (!options.dump_to.empty()) file_.emplace(options.dump_to);
  }
  void add(const CompileOptions::StageReport& report) {
    if (stage_ != "all" && stage_ != report.stage) return;
    const json line = {{"layer", report.layer},
                       {"stage", report.stage},
                       {"seconds", report.seconds},
                       {"result", json::parse(report.dump())}};
    const std::string text = line.dump(-1, ' ', false, json::error_handler_t::replace) + "\n";
    if (file_)
      file_->write(text);
    else
      print(text);
  }
  void commit() {
    if (file_) file_->commit();
  }

 private:
  std::string stage_;
  std::optional<base::AtomicFile> file_;
};

void check(const Options& options) {
  if (options.layers_only && options.whole_model)
    throw UsageError("--layers-only and --whole-model contradict each other");
  if (options.dump_stage.empty()) {
    if (!options.dump_to.empty()) throw UsageError("--dump-to needs --dump-stage, which says what to write");
    return;
  }
  if (std::find(std::begin(stages), std::end(stages), options.dump_stage) == std::end(stages))
    throw UsageError(fmt::format("--dump-stage {} is unknown; it can be {}",
                                 base::in_quotes(options.dump_stage), fmt::join(stages, ", ")));
  if (options.dumps_to_stdout() && (options.common.json || options.explain))
    throw UsageError(
        "--dump-stage writes to standard output, as --json and --explain do; give it a --dump-to FILE");
}

std::string summary_text(const PlanExplanation& plan, const std::string& path, double seconds) {
  Table table({"layer", "shape", "sparse", "dense", "plan", "tokens", "<runs", "speed-up"});
  for (const LayerExplanation& layer : plan.layers)
    for (std::size_t t = 0; t < layer.tokens.size(); ++t) {
      const TokensDecision& decision = layer.tokens[t];
      std::vector<std::string> cells(5);
      if (t == 0)
        cells = {layer.name, fmt::format("{}x{}", layer.rows, layer.cols), percent_text(layer.sparsity),
                 bytes_text(layer.bytes_dense), bytes_text(layer.bytes_plan)};
      cells.insert(cells.end(),
                   {std::to_string(decision.tokens), decision.kernel,
                    ratio_text(decision.speedup) + (decision.measured_us > 0 ? "" : " predicted")});
      table.add(std::move(cells));
    }
  return table.text() + fmt::format("\n{}: {}, {}, {} -> {}, compiled in {:.1f} s with prices {}\n",
                                    base::printable(path), plural(plan.layers.size(), "layer"), plan.dtype,
                                    bytes_text(plan.bytes_dense), bytes_text(plan.bytes_plan), seconds,
                                    base::printable(plan.profile_source));
}

json summary_json(const PlanExplanation& plan, const std::string& path, double seconds) {
  json layers = json::array();
  for (const LayerExplanation& layer : plan.layers) {
    json tokens = json::array();
    for (const TokensDecision& decision : layer.tokens)
      tokens.push_back({{"tokens", decision.tokens},
                        {"kernel", decision.kernel},
                        {"cross_us", std::max(decision.measured_us, 0.0)},
                        {"dense_us", decision.dense_measured_us},
                        {"predicted_us", decision.predicted_us},
                        {"speedup", decision.speedup}});
    layers.push_back({{"name", layer.name},
                      {"m", layer.rows},
                      {"k", layer.cols},
                      {"sparsity", layer.sparsity},
                      {"bytes_dense", layer.bytes_dense},
                      {"bytes_plan", layer.bytes_plan},
                      {"tokens", tokens}});
  }
  return {{"plan", path},
          {"device", plan.device},
          {"dtype", plan.dtype},
          {"threads", plan.threads},
          {"profile", plan.profile},
          {"profile_source", plan.profile_source},
          {"seconds", seconds},
          {"bytes_dense", plan.bytes_dense},
          {"bytes_plan", plan.bytes_plan},
          {"layers", layers}};
}

void report(const Options& options, const Plan& plan, double seconds) {
  if (options.common.json) {
    json summary = summary_json(explain(plan), options.plan, seconds);
    if (options.explain) summary["explain"] = json::parse(explain_json(plan));
    return print_json(summary);
  }
  const std::string text = summary_text(explain(plan), options.plan, seconds);
  if (!options.dumps_to_stdout())
    print(text);
  else if (!options.common.quiet)
    print_note(text);
  if (options.explain) print("\n" + explain_text(plan));
}

/// A folder whose config.json names an architecture that runs as a whole gives a model plan, everything else
/// a plan of layers; the user may insist on either.
CompileOptions::Scope scope_for(const Options& options, const CompileOptions& compile_with,
                                const Model& model) {
  using Scope = CompileOptions::Scope;
  if (options.layers_only) return Scope::layers;
  if (options.whole_model) {
    if (const std::string refusal = no_whole_model(model); !refusal.empty()) throw InputError(refusal);
    return Scope::model;
  }
  if (!model.config()) return Scope::layers;
  const Selection& selection = compile_with.selection;
  std::string why = no_whole_model(model);
  if (why.empty() && !(selection.include.empty() && selection.exclude.empty()))
    why = "a selection of layers makes no whole model";
  if (why.empty() && compile_with.device != "cpu") why = "whole models run on the CPU";
  if (why.empty()) return Scope::model;
  if (!options.common.quiet)
    print_note(fmt::format("note: a plan of layers alone: {}", base::printable(why)));
  return Scope::layers;
}

void run(const Options& options) {
  check(options);
  CompileOptions compile_with = compile_options(options.flags);
  const Model model = load_model(options.model, options.flags.load);
  check_output(options.plan, model);
  compile_with.scope = scope_for(options, compile_with, model);
  if (compile_with.scope == CompileOptions::Scope::model && options.flags.tokens.empty())
    compile_with.tokens = whole_model_tokens(model);
  if (!options.dump_to.empty()) {
    check_output(options.dump_to, model);
    check_output(options.dump_to, {options.plan});
    if (options.dump_to == options.plan) throw UsageError("--dump-to and -o name the same file");
  }
  std::optional<StageDump> dump;
  if (!options.dump_stage.empty()) {
    dump.emplace(options);
    compile_with.on_stage = [&](const CompileOptions::StageReport& stage) { dump->add(stage); };
  }
  const auto start = std::chrono::steady_clock::now();
  const Plan plan = compile_with_progress(model, compile_with, options.common.quiet);
  plan.save(options.plan);
  if (dump) dump->commit();
  report(options, plan, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
}

}  // namespace

void add_compile(CLI::App& app) {
  const auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand(
      "compile", "choose formats and kernels for a model: make a plan of its layers, or of the whole");
  command->add_option("MODEL", options->model, ".safetensors, model folder, .smtx, .mtx or .npy")->required();
  command->add_option("-o,--output", options->plan, "the plan to write")->required()->type_name("PLAN");
  add_compile_flags(*command, options->flags);
  command->add_flag(
      "--layers-only", options->layers_only,
      "each layer for itself, also where config.json names an architecture that runs as a whole model");
  command->add_flag("--whole-model", options->whole_model,
                    "a whole model or nothing: refuse an architecture that does not run as one");
  command->add_flag("--explain", options->explain, "then print every decision, as `cross explain` does");
  command
      ->add_option("--dump-stage", options->dump_stage,
                   "print what a stage made of every layer, one JSON object a line: analyse, reorder, cost, "
                   "partition, pack, balance or all")
      ->type_name("STAGE");
  command->add_option("--dump-to", options->dump_to, "write that to a file instead")->type_name("FILE");
  add_common(*command, options->common,
             "cross compile pruned.safetensors -o pruned.plan --dtype bf16 --tokens 1,8,128");
  command->callback([options] { run(*options); });
}

}  // namespace cross::cli
