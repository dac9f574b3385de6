// cross eval: what pruning cost in quality, beside size and speed.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cmath>
#include <memory>
#include <nlohmann/json.hpp>

#include "commands.h"
#include "console.h"
#include "cross/decoder.h"
#include "cross/error.h"
#include "cross/evaluate.h"
#include "cross/evaluate_decoder.h"
#include "files.h"
#include "options.h"
#include "progress.h"
#include "results.h"
#include "table.h"
#include "text_lines.h"

namespace cross::cli {

using json = nlohmann::ordered_json;

namespace {

struct Options {
  CommonOptions common;
  std::string plan, reference, text;
  int threads = 0, batch = 32;
  std::int64_t window = 0, stride = 0;
  bool batch_given = false;
};

}  // namespace

json json_of(const Evaluation& e) {
  return {{"sentences", e.sentences},
          {"pairs", e.pairs},
          {"rank_correlation", std::isfinite(e.rank_correlation) ? json(e.rank_correlation) : json()},
          {"mean_cosine", e.mean_cosine},
          {"least_cosine", e.least_cosine},
          {"bytes_reference", e.bytes_reference},
          {"bytes_plan", e.bytes_plan},
          {"reference_sentences_per_s", e.reference_sentences_per_s},
          {"plan_sentences_per_s", e.plan_sentences_per_s}};
}

namespace {

std::string report_text(const Evaluation& e) {
  Table table({"", "reference (dense, fp32)", "plan"});
  table.add({"sentences/s", fmt::format("{:.1f}", e.reference_sentences_per_s),
             fmt::format("{:.1f} ({})", e.plan_sentences_per_s,
                         ratio_text(e.plan_sentences_per_s / e.reference_sentences_per_s))});
  table.add(
      {"size", bytes_text(e.bytes_reference),
       fmt::format("{} ({})", bytes_text(e.bytes_plan),
                   ratio_text(static_cast<double>(e.bytes_reference) / static_cast<double>(e.bytes_plan)))});
  return fmt::format(
      "rank correlation of the cosines of {} pairs of {} sentences: {:.4f}\n"
      "cosine between the embeddings of a sentence: mean {:.4f}, least {:.4f}\n\n{}",
      e.pairs, e.sentences, e.rank_correlation, e.mean_cosine, e.least_cosine, table.text());
}

json score_json(const DecoderScore& score) {
  return {{"perplexity", std::isfinite(score.perplexity) ? json(score.perplexity) : json()},
          {"bytes", score.bytes},
          {"prefill_tokens_per_s", score.prefill_tokens_per_s},
          {"decode_tokens_per_s", score.decode_tokens_per_s}};
}

}  // namespace

json json_of(const DecoderEvaluation& e) {
  return {{"tokens", e.tokens},
          {"window", e.window},
          {"stride", e.stride},
          {"reference", score_json(e.reference)},
          {"plan", score_json(e.plan)}};
}

namespace {

std::string report_text(const DecoderEvaluation& e) {
  Table table({"", "reference (dense, fp32)", "plan"});
  const auto row = [&](const char* name, double reference, double plan, const char* format) {
    table.add(
        {name, fmt::format(fmt::runtime(format), reference),
         fmt::format("{} ({})", fmt::format(fmt::runtime(format), plan), ratio_text(plan / reference))});
  };
  row("perplexity", e.reference.perplexity, e.plan.perplexity, "{:.4g}");
  row("prefill, tokens/s", e.reference.prefill_tokens_per_s, e.plan.prefill_tokens_per_s, "{:.1f}");
  row("decode, tokens/s", e.reference.decode_tokens_per_s, e.plan.decode_tokens_per_s, "{:.1f}");
  table.add(
      {"size", bytes_text(e.reference.bytes),
       fmt::format("{} ({})", bytes_text(e.plan.bytes),
                   ratio_text(static_cast<double>(e.reference.bytes) / static_cast<double>(e.plan.bytes)))});
  return fmt::format("perplexity of {} tokens, windows of {} every {}\n\n{}", e.tokens, e.window, e.stride,
                     table.text());
}

template <class Result>
void report(const Options& options, const Result& result) {
  if (options.common.json)
    print_json(json_of(result));
  else
    print(report_text(result));
}

void run_encoder(const Options& options, const Plan& plan, const Model& reference) {
  if (options.window != 0 || options.stride != 0)
    throw UsageError(fmt::format("--window and --stride are for decoders; the plan holds a {}, an encoder",
                                 plan.model->architecture));
  check_batch(options.batch);
  const std::vector<std::string> texts = read_lines(options.text);
  EvaluateOptions with;
  with.threads = threads_for(plan, options.threads);
  with.batch = static_cast<std::size_t>(options.batch);
  report(options, with_progress("eval", options.common.quiet, [&](auto on_step) {
           with.on_step = on_step;
           return evaluate(plan, reference, texts, with);
         }));
}

void run_decoder(const Options& options, const Plan& plan, const Model& reference) {
  if (options.batch_given)
    throw UsageError(fmt::format(
        "--batch is for encoders; the plan holds a {}, a decoder, which reads windows one after the other",
        plan.model->architecture));
  const std::string text = read_text(options.text);
  DecoderEvaluationOptions with;
  with.threads = threads_for(plan, options.threads);
  with.window = options.window;
  with.stride = options.stride;
  report(options, with_progress("eval", options.common.quiet, [&](auto on_step) {
           with.on_step = on_step;
           return evaluate_decoder(plan, reference, text, with);
         }));
}

void run(const Options& options) {
  const Plan plan = load_plan(options.plan);
  const bool decoder = model_kind(plan) == ModelKind::decoder;
  const Model reference = load_model(options.reference);
  decoder ? run_decoder(options, plan, reference) : run_encoder(options, plan, reference);
}

}  // namespace

void add_eval(CLI::App& app) {
  const auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("eval",
                                         "say what pruning cost: a model plan's embeddings (encoder) or "
                                         "perplexity (decoder) against the dense model's, "
                                         "beside size and speed");
  command->add_option("PLAN", options->plan, "a model plan, made by `cross compile` from a folder")
      ->required();
  command->add_option("--reference", options->reference, "folder of the dense model")
      ->required()
      ->type_name("MODEL");
  command
      ->add_option("--text", options->text,
                   "UTF-8 text, for encoders one sentence a line; - is standard input")
      ->required()
      ->type_name("FILE");
  const auto* batch = add_batch(*command, options->batch);
  command
      ->add_option("--window", options->window,
                   "decoders: tokens that a prediction may see (default: the model's longest, at most 1024)")
      ->type_name("W");
  command
      ->add_option("--stride", options->stride,
                   "decoders: from one window to the next (default: half of one)")
      ->type_name("S");
  add_threads(*command, options->threads);
  add_common(*command, options->common, "cross eval pruned.plan --reference model --text sentences.txt");
  command->callback([=] {
    options->batch_given = batch->count() > 0;
    run(*options);
  });
}

}  // namespace cross::cli
