// cross report: a plan as one HTML page.
#include "cross/report.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/atomic_file.h"
#include "base/quote.h"
#include "bench_model.h"
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
  BenchModelFlags model;
  std::string baseline = "best";
  double seconds = 0;  ///< 0: the default of what is measured
  int threads = 0;
};

void check(const Options& options) {
  if (options.output.empty() && !options.common.json)
    throw UsageError("--output says where the page goes; without it only --json has something to do");
  if (!options.output.empty()) check_output(options.output, {options.plan, options.text});
  if (options.reference.empty() != options.text.empty())
    throw UsageError("--reference and --text go together: the dense model, and the text to compare on");
  if (!options.bench && (options.seconds != 0 || options.baseline != "best" || options.model.given()))
    throw UsageError("--seconds, --baseline and the sizes of what is measured are for --bench");
  if (!(options.seconds >= 0 && options.seconds <= 3600))
    throw UsageError(fmt::format("--seconds {} makes no sense; use, for example, 4", options.seconds));
}

/// run(with) with a progress bar.
template <class With, class Run>
auto run_with_progress(const char* label, const Options& options, With with, Run&& run) {
  return with_progress(label, options.common.quiet, [&](auto on_step) {
    with.on_step = on_step;
    return run(with);
  });
}

void evaluate_into(ReportEvidence& evidence, const Plan& plan, bool decoder, const Options& options) {
  const int threads = threads_for(plan, options.threads);
  const Model reference = load_model(options.reference);
  if (decoder) {
    const std::string text = read_text(options.text);
    DecoderEvaluationOptions with;
    with.threads = threads;
    evidence.decoder_quality =
        run_with_progress("eval", options, with, [&](const DecoderEvaluationOptions& given) {
          return evaluate_decoder(plan, reference, text, given);
        });
    return;
  }
  const std::vector<std::string> texts = read_lines(options.text);
  EvaluateOptions with;
  with.threads = threads;
  evidence.quality = run_with_progress("eval", options, with, [&](const EvaluateOptions& given) {
    return evaluate(plan, reference, texts, given);
  });
}

void bench_into(ReportEvidence& evidence, const Plan& plan, bool decoder, const Options& options) {
  const int threads = threads_for(plan, options.threads);
  if (decoder) {
    evidence.decoder = run_with_progress(
        "bench", options, decoder_bench_options(options.model, options.baseline, options.seconds, threads),
        [&](const DecoderBenchOptions& with) { return bench_decoder(plan, with); });
  } else if (plan.model) {
    evidence.model = run_with_progress(
        "bench", options, encoder_bench_options(options.model, options.baseline, options.seconds, threads),
        [&](const ModelBenchOptions& with) { return bench_model(plan, with); });
  } else {
    BenchOptions with;
    with.threads = threads;
    with.baseline = options.baseline;
    if (options.seconds > 0) with.seconds = options.seconds;
    evidence.layers = run_with_progress("bench", options, with,
                                        [&](const BenchOptions& given) { return bench(plan, given); });
  }
}

ReportEvidence measure(const Plan& plan, const Options& options) {
  check_bench_model_flags(plan, options.model);
  ReportEvidence evidence;
  const bool decoder = plan.model && model_kind(plan) == ModelKind::decoder;
  if (!options.reference.empty()) evaluate_into(evidence, plan, decoder, options);
  if (options.bench) bench_into(evidence, plan, decoder, options);
  return evidence;
}

template <class Measured>
json json_or_null(const std::optional<Measured>& measured) {
  return measured ? json_of(*measured) : json();
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
          {"quality",
           evidence.decoder_quality ? json_of(*evidence.decoder_quality) : json_or_null(evidence.quality)},
          {"model", evidence.decoder ? json_of(*evidence.decoder) : json_or_null(evidence.model)},
          {"layers", json_or_null(evidence.layers)},
          {"plan", explanation}};
}

std::string speed_text(const Report& report) {
  const ReportEvidence& evidence = report.evidence;
  if (const auto& bench = evidence.model)
    return fmt::format("speed      {:.1f} -> {:.1f} sentences/s: {} (against {})\n",
                       bench->dense_sentences_per_s(), bench->cross_sentences_per_s(),
                       ratio_text(bench->speedup), bench->baseline);
  std::string text;
  if (const auto& bench = evidence.decoder) {
    for (const auto& [name, phase] : {std::pair{"prefill", &bench->prefill}, {"decode", &bench->decode}})
      text +=
          fmt::format("{:<11}{:.2f} -> {:.2f} tokens/s: {} (against {})\n", name, phase->dense_tokens_per_s(),
                      phase->cross_tokens_per_s(), ratio_text(phase->speedup), phase->baseline);
    return text;
  }
  for (const ReportTime& total : report.totals)
    text += fmt::format("speed      {} at {}: {} -> {}, {}\n", ratio_text(total.speedup),
                        plural(static_cast<std::size_t>(total.tokens), "token"),
                        microseconds_text(total.dense_us), microseconds_text(total.cross_us),
                        name_of(total.evidence));
  return text;
}

std::string quality_text(const ReportEvidence& evidence) {
  if (const auto& quality = evidence.decoder_quality)
    return fmt::format("perplexity {:.4g} -> {:.4g}, dense reference -> plan, of {}\n",
                       quality->reference.perplexity, quality->plan.perplexity,
                       plural(static_cast<std::size_t>(quality->tokens), "token"));
  if (const auto& quality = evidence.quality)
    return fmt::format(
        "text       {:.0f} -> {:.0f} sentences/s from text to embeddings, dense reference -> plan\n"
        "agreement  rank correlation {:.4f}, mean cosine {:.4f}, over {}\n",
        quality->reference_sentences_per_s, quality->plan_sentences_per_s, quality->rank_correlation,
        quality->mean_cosine, plural(quality->sentences, "sentence"));
  return "";
}

/// A few lines: what the page says first.
std::string report_text(const Report& report, const std::string& output) {
  return speed_text(report) +
         fmt::format("size       {} -> {}: {}\n", bytes_text(report.bytes_dense),
                     bytes_text(report.bytes_plan),
                     ratio_text(static_cast<double>(report.bytes_dense) /
                                std::max(1.0, static_cast<double>(report.bytes_plan)))) +
         quality_text(report.evidence) + fmt::format("report     {}\n", base::printable(output));
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
                   "for --reference: UTF-8 text, for encoders one sentence a line; - is standard input")
      ->type_name("FILE");
  command->add_flag(
      "--bench", options->bench,
      "measure on this machine, as `cross bench` does: the whole model, or the layers of a plan of layers");
  command->add_option("--baseline", options->baseline, "for --bench: best (default), onednn or openblas")
      ->type_name("NAME");
  command->add_option("--seconds", options->seconds, "for --bench, to spend, as `cross bench` does")
      ->type_name("S");
  add_bench_model_flags(*command, options->model);
  add_threads(*command, options->threads);
  add_common(*command, options->common,
             "cross report pruned.plan -o report.html --reference model --text sentences.txt --bench");
  command->callback([options] { run(*options); });
}

}  // namespace cross::cli
