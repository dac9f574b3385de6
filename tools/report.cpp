// cross report: a plan as one HTML page.
#include "cross/report.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/atomic_file.h"
#include "base/quote.h"
#include "commands.h"
#include "console.h"
#include "cross/decoder.h"
#include "cross/error.h"
#include "files.h"
#include "options.h"
#include "progress.h"
#include "results.h"
#include "table.h"
#include "text_lines.h"

namespace cross::cli {
namespace {

using json = nlohmann::ordered_json;

struct Options {
  CommonOptions common;
  std::string plan, output, reference, text;
  bool bench = false;
  std::string baseline = "best";
  double seconds = 0;  ///< 0: the default of what is measured
  int threads = 0;
};

void check(const Options& options) {
  if (options.output.empty() && !options.common.json)
    throw UsageError("--output says where the page goes; without it only --json has something to do");
  if (!options.output.empty()) check_output(options.output, {options.plan, options.text});
  if (options.reference.empty() != options.text.empty())
    throw UsageError("--reference and --text go together: the dense model, and the sentences to compare on");
  if (!options.bench && (options.seconds != 0 || options.baseline != "best"))
    throw UsageError("--seconds and --baseline are for --bench, which measures");
  if (!(options.seconds >= 0 && options.seconds <= 3600))
    throw UsageError(fmt::format("--seconds {} makes no sense; use, for example, 4", options.seconds));
}

/// A progress bar for something with steps.
template <class Work>
auto with_progress(const char* label, const Options& options, Work&& work) {
  Progress progress(label, options.common.quiet);
  return work(
      [&](std::size_t done, std::size_t total, std::string_view what) { progress.step(done, total, what); });
}

ReportEvidence measure(const Plan& plan, const Options& options) {
  ReportEvidence evidence;
  const bool asked = options.bench || !options.reference.empty();
  if (asked && plan.model && model_kind(plan) == ModelKind::decoder)
    throw UsageError(
        fmt::format("--bench and --reference measure encoders and layers; the plan holds a {}, a decoder. A "
                    "report without them "
                    "works, and `cross eval` says what pruning cost",
                    plan.model->architecture));
  const int threads = threads_for(plan, options.threads);
  if (!options.reference.empty()) {
    const Model reference = load_model(options.reference);
    const std::vector<std::string> texts = read_lines(options.text);
    evidence.quality = with_progress("eval", options, [&](auto on_step) {
      EvaluateOptions with;
      with.threads = threads;
      with.on_step = on_step;
      return evaluate(plan, reference, texts, with);
    });
  }
  if (!options.bench) return evidence;
  if (plan.model)
    evidence.model = with_progress("bench", options, [&](auto on_step) {
      ModelBenchOptions with;
      with.threads = threads;
      with.baseline = options.baseline;
      if (options.seconds > 0) with.seconds = options.seconds;
      with.on_step = on_step;
      return bench_model(plan, with);
    });
  else
    evidence.layers = with_progress("bench", options, [&](auto on_step) {
      BenchOptions with;
      with.threads = threads;
      with.baseline = options.baseline;
      if (options.seconds > 0) with.seconds = options.seconds;
      with.on_step = on_step;
      return bench(plan, with);
    });
  return evidence;
}

json time_json(const ReportTime& time) {
  return {{"tokens", time.tokens},
          {"dense_us", time.dense_us},
          {"cross_us", time.cross_us},
          {"speedup", time.speedup},
          {"evidence", name_of(time.evidence)}};
}

json grid_json(const DensityGrid& grid) {
  return {{"block", grid.block}, {"rows", grid.rows}, {"cols", grid.cols}, {"density", grid.density}};
}

/// What `explain --json` says, with times and densities, and what was measured.
json report_json(const Report& report, const Plan& plan) {
  json explanation = json::parse(explain_json(plan));
  for (std::size_t i = 0; i < report.layers.size(); ++i) {
    const LayerReport& layer = report.layers[i];
    json times = json::array();
    for (const ReportTime& time : layer.times) times.push_back(time_json(time));
    explanation["layers"][i]["times"] = times;
    explanation["layers"][i]["heat_map"] = grid_json(layer.as_stored);
    if (!layer.as_packed.density.empty())
      explanation["layers"][i]["heat_map_packed"] = grid_json(layer.as_packed);
  }
  json totals = json::array();
  for (const ReportTime& total : report.totals) totals.push_back(time_json(total));
  const ReportEvidence& evidence = report.evidence;
  return {{"architecture", report.architecture},
          {"bytes_dense", report.bytes_dense},
          {"bytes_plan", report.bytes_plan},
          {"bytes_other", report.bytes_other},
          {"sparsity", report.sparsity},
          {"totals", totals},
          {"quality", evidence.quality ? json_of(*evidence.quality) : json()},
          {"model", evidence.model ? json_of(*evidence.model) : json()},
          {"layers", evidence.layers ? json_of(*evidence.layers) : json()},
          {"plan", explanation}};
}

/// A few lines: what the page says first.
std::string report_text(const Report& report, const std::string& output) {
  std::string text;
  if (const auto& bench = report.evidence.model)
    text += fmt::format("speed      {:.1f} -> {:.1f} sentences/s: {} (against {})\n",
                        bench->dense_sentences_per_s(), bench->cross_sentences_per_s(),
                        ratio_text(bench->speedup), bench->baseline);
  else if (!report.totals.empty())
    for (const ReportTime& total : report.totals)
      text += fmt::format("speed      {} at {}: {} -> {}, {}\n", ratio_text(total.speedup),
                          plural(static_cast<std::size_t>(total.tokens), "token"),
                          microseconds_text(total.dense_us), microseconds_text(total.cross_us),
                          name_of(total.evidence));
  text +=
      fmt::format("size       {} -> {}: {}\n", bytes_text(report.bytes_dense), bytes_text(report.bytes_plan),
                  ratio_text(static_cast<double>(report.bytes_dense) /
                             std::max(1.0, static_cast<double>(report.bytes_plan))));
  if (const auto& quality = report.evidence.quality)
    text +=
        fmt::format(
            "text       {:.0f} -> {:.0f} sentences/s from text to embeddings, dense reference -> plan\n",
            quality->reference_sentences_per_s, quality->plan_sentences_per_s) +
        fmt::format("agreement  rank correlation {:.4f}, mean cosine {:.4f}, over {}\n",
                    quality->rank_correlation, quality->mean_cosine, plural(quality->sentences, "sentence"));
  return text + fmt::format("report     {}\n", base::printable(output));
}

void run(const Options& options) {
  check(options);
  const Plan plan = load_plan(options.plan);
  const Report report = make_report(plan, measure(plan, options), threads_for(plan, options.threads));
  if (!options.output.empty()) {
    base::AtomicFile file(options.output);
    file.write(report_html(report));
    file.commit();
  }
  if (options.common.json)
    print_json(report_json(report, plan));
  else
    print(report_text(report, options.output));
}

}  // namespace

void add_report(CLI::App& app) {
  const auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand(
      "report", "write a plan as one HTML page: heat maps, decisions, times, sizes, and what was measured");
  command->add_option("PLAN", options->plan, "made by `cross compile`")->required();
  command->add_option("-o,--output", options->output, "page to write; replaces a file that is there")
      ->type_name("report.html");
  command
      ->add_option("--reference", options->reference, "folder of the dense model, to say what pruning cost")
      ->type_name("MODEL");
  command
      ->add_option("--text", options->text,
                   "for --reference: UTF-8 text, one sentence a line; - is standard input")
      ->type_name("FILE");
  command->add_flag(
      "--bench", options->bench,
      "measure on this machine, as `cross bench` does: the whole model, or the layers of a plan of layers");
  command->add_option("--baseline", options->baseline, "for --bench: best (default), onednn or openblas")
      ->type_name("NAME");
  command->add_option("--seconds", options->seconds, "for --bench, to spend, as `cross bench` does")
      ->type_name("S");
  add_threads(*command, options->threads);
  add_common(*command, options->common,
             "cross report pruned.plan -o report.html --reference model --text sentences.txt --bench");
  command->callback([options] { run(*options); });
}

}  // namespace cross::cli
