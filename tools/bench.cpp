// cross bench: a plan's layers against the best dense library.
#include "cross/bench.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>

#include "bench_model.h"
#include "commands.h"
#include "compile_options.h"
#include "console.h"
#include "cross/error.h"
#include "files.h"
#include "options.h"
#include "progress.h"
#include "results.h"
#include "table.h"

namespace cross::cli {

using json = nlohmann::ordered_json;

namespace {

struct Options {
  CommonOptions common;
  CompileFlags flags;
  std::string input;
  std::vector<std::string> layers;
  std::string baseline = "best";
  double seconds = 0;  ///< 0: the default
  BenchModelFlags model;
  bool layers_only = false;
  std::string compile_flag;  ///< first option given that is for compiling only
};

/// The plan to measure: loaded, or compiled from a model.
Plan plan_of(const Options& options) {
  if (!is_plan(options.input)) {
    CompileOptions compile_with = compile_options(options.flags);
    const Model model = load_model(options.input, options.flags.load);
    // Other layers need not be compiled; the names are checked against the plan later.
    if (!options.layers.empty() && compile_with.selection.include.empty())
      compile_with.selection.include = options.layers;
    return compile_with_progress(model, compile_with, options.common.quiet);
  }
  if (!options.compile_flag.empty())
    throw UsageError(
        fmt::format("{}: is compiled already; {} is for models", options.input, options.compile_flag));
  check_device(options.flags.device);
  return Plan::load(options.input);
}

/// What was read and computed, and of what the device could: few tokens are bound by memory, many by
/// arithmetic.
std::string limits_text(const BenchReport& report) {
  const bool peak = report.peak_gflops > 0;
  std::vector<std::string> columns = {"layer", "tokens", "dense bytes", "plan bytes", "GB/s", "of memory"};
  if (peak) columns.insert(columns.end(), {"GFLOP/s", "of fp32 peak"});
  Table table(columns);
  for (const BenchRow& row : report.layers) {
    std::vector<std::string> cells = {row.name,
                                      std::to_string(row.tokens),
                                      bytes_text(row.bytes_dense),
                                      bytes_text(row.bytes_plan),
                                      fmt::format("{:.1f}", row.gbytes_per_s),
                                      percent_text(row.bandwidth_share)};
    if (peak) cells.insert(cells.end(), {fmt::format("{:.1f}", row.gflops), percent_text(row.peak_share)});
    table.add(cells);
  }
  return table.text();
}

std::string report_text(const BenchReport& report) {
  Table table({"layer", "shape", "sparse", "tokens", "dense", "cross", "speed-up", "spread", "rel error",
               "<runs", "<baseline"});
  for (const BenchRow& row : report.layers)
    table.add({row.name, fmt::format("{}x{}", row.m, row.k), percent_text(row.sparsity),
               std::to_string(row.tokens), microseconds_text(row.dense_us), microseconds_text(row.cross_us),
               ratio_text(row.speedup), fmt::format("{:.0f} %", 100 * row.spread),
               fmt::format("{:.1e}", row.rel_error), row.kernel, row.baseline});
  Table total({"total, tokens", "dense", "cross", "speed-up"});
  for (const BenchTotal& sum : report.total)
    total.add({std::to_string(sum.tokens), microseconds_text(sum.dense_us), microseconds_text(sum.cross_us),
               ratio_text(sum.speedup)});
  const std::string limits = report.peak_gflops > 0
                                 ? fmt::format("memory {:.1f} GB/s, {:.0f} GFLOP/s fp32",
                                               report.memory_gbytes_per_s, report.peak_gflops)
                                 : fmt::format("copies {:.0f} GB/s", report.memory_gbytes_per_s);
  return fmt::format("{}; {}\n\n{}\n{}\n{}", report.device, limits, table.text(), limits_text(report),
                     total.text());
}

}  // namespace

json json_of(const BenchReport& report) {
  json layers = json::array();
  for (const BenchRow& row : report.layers)
    layers.push_back({{"name", row.name},
                      {"m", row.m},
                      {"k", row.k},
                      {"tokens", row.tokens},
                      {"dtype", row.dtype},
                      {"sparsity", row.sparsity},
                      {"dense_us", row.dense_us},
                      {"cross_us", row.cross_us},
                      {"speedup", row.speedup},
                      {"rel_error", row.rel_error},
                      {"baseline", row.baseline},
                      {"bytes_dense", row.bytes_dense},
                      {"bytes_plan", row.bytes_plan},
                      {"spread", row.spread},
                      {"tolerance", row.tolerance},
                      {"kernel", row.kernel},
                      {"gbytes_per_s", row.gbytes_per_s},
                      {"bandwidth_share", row.bandwidth_share},
                      {"gflops", row.gflops},
                      {"peak_share", row.peak_share},
                      {"imbalance", row.imbalance}});
  json total = json::array();
  for (const BenchTotal& sum : report.total)
    total.push_back({{"tokens", sum.tokens},
                     {"dense_us", sum.dense_us},
                     {"cross_us", sum.cross_us},
                     {"speedup", sum.speedup}});
  return {{"device", report.device},
          {"layers", layers},
          {"total", total},
          {"memory_gbytes_per_s", report.memory_gbytes_per_s},
          {"peak_gflops", report.peak_gflops}};
}

namespace {

void run(const Options& options) {
  BenchOptions bench_options;
  bench_options.tokens = parse_tokens(options.flags.tokens);
  bench_options.baseline = options.baseline;
  bench_options.device = options.flags.device;
  if (!(options.seconds >= 0 && options.seconds <= 3600))
    throw UsageError(fmt::format("--seconds {} makes no sense; use, for example, 0.25", options.seconds));
  if (options.seconds > 0) bench_options.seconds = options.seconds;
  Plan plan = plan_of(options);
  const bool layers = options.layers_only || !options.layers.empty() || !options.flags.tokens.empty();
  if (plan.model && !layers) {
    bench_whole_model(plan, options.model, options.baseline, options.seconds,
                      threads_for(plan, options.flags.options.threads), options.common);
    return;
  }
  check_bench_model_flags(plan, options.model);
  if (options.model.given())
    throw UsageError(
        "--sentences, --length, --prompt and --generate are for whole models; --layers-only, --layer and "
        "--tokens measure layers");
  if (!options.layers.empty()) plan = only_layers(plan, options.layers);
  bench_options.threads = threads_for(plan, options.flags.options.threads);
  BenchReport report;
  {
    Progress progress("bench", options.common.quiet);
    bench_options.on_step = [&](std::size_t done, std::size_t total, std::string_view layer) {
      progress.step(done, total, layer);
    };
    report = bench(plan, bench_options);
  }
  if (options.common.json)
    print_json(json_of(report));
  else
    print(report_text(report));
}

}  // namespace

void add_bench(CLI::App& app) {
  const auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand(
      "bench",
      "time a plan against the best dense library, results compared first: its layers, or the whole model");
  command->add_option("PLAN|MODEL", options->input, "a plan, or a model to compile first")->required();
  add_layers(*command, options->layers);
  command->add_option("--baseline", options->baseline, "best (default), onednn or openblas; cublaslt on cuda")
      ->type_name("NAME");
  command
      ->add_option("--seconds", options->seconds,
                   "to spend, about: per layer and token count (default 0.25), or on a whole model (default "
                   "10; a decoder 20)")
      ->type_name("S");
  add_bench_model_flags(*command, options->model);
  command->add_flag("--layers-only", options->layers_only,
                    "the layers of a model plan, as --layer and --tokens do, not the whole model");
  add_compile_flags(*command, options->flags);
  add_common(*command, options->common, "cross bench pruned.plan --tokens 1,8,128");
  command->callback([options, command] {
    options->compile_flag = first_compile_flag(*command);
    run(*options);
  });
}

}  // namespace cross::cli
