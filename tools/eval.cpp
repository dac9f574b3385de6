// cross eval: what pruning cost in quality, beside size and speed.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cmath>
#include <memory>
#include <nlohmann/json.hpp>

#include "commands.h"
#include "console.h"
#include "cross/error.h"
#include "cross/evaluate.h"
#include "files.h"
#include "options.h"
#include "progress.h"
#include "table.h"
#include "text_lines.h"

namespace cross::cli {
namespace {

using json = nlohmann::ordered_json;

struct Options {
  CommonOptions common;
  std::string plan, reference, text;
  int threads = 0, batch = 32;
};

json report_json(const Evaluation& e) {
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

void run(const Options& options) {
  check_batch(options.batch);
  const Plan plan = load_plan(options.plan);
  const Model reference = load_model(options.reference);
  const std::vector<std::string> texts = read_lines(options.text);
  EvaluateOptions with;
  with.threads = threads_for(plan, options.threads);
  with.batch = static_cast<std::size_t>(options.batch);
  Evaluation result;
  {
    Progress progress("eval", options.common.quiet);
    with.on_step = [&](std::size_t done, std::size_t total, std::string_view what) {
      progress.step(done, total, what);
    };
    result = evaluate(plan, reference, texts, with);
  }
  if (options.common.json)
    print_json(report_json(result));
  else
    print(report_text(result));
}

}  // namespace

void add_eval(CLI::App& app) {
  const auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand(
      "eval",
      "say what pruning cost: a model plan's embeddings against the dense model's, beside size and speed");
  command->add_option("PLAN", options->plan, "a model plan, made by `cross compile` from a folder")
      ->required();
  command->add_option("--reference", options->reference, "folder of the dense model")
      ->required()
      ->type_name("MODEL");
  command->add_option("--text", options->text, "UTF-8 text, one sentence a line; - is standard input")
      ->required()
      ->type_name("FILE");
  add_batch(*command, options->batch);
  add_threads(*command, options->threads);
  add_common(*command, options->common, "cross eval pruned.plan --reference model --text sentences.txt");
  command->callback([options] { run(*options); });
}

}  // namespace cross::cli
