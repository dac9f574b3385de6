#include "bench_model.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "console.h"
#include "cross/bench_model.h"
#include "progress.h"
#include "results.h"
#include "table.h"

namespace cross::cli {

using json = nlohmann::ordered_json;

namespace {

std::string report_text(const ModelBenchReport& r) {
  Table sides({"", "sentences/s", "per batch", "size"});
  sides.add({"dense (" + r.baseline + ")", fmt::format("{:.1f}", r.dense_sentences_per_s()),
             microseconds_text(r.dense_seconds * 1e6), bytes_text(r.bytes_dense)});
  sides.add({"cross", fmt::format("{:.1f}", r.cross_sentences_per_s()),
             microseconds_text(r.cross_seconds * 1e6), bytes_text(r.bytes_plan)});
  double dense = 0, cross = 0;
  for (const ModelBenchPart& part : r.parts) {
    dense += part.dense_seconds;
    cross += part.cross_seconds;
  }
  Table parts({"part", "dense", "share", "cross", "share", "speed-up"});
  for (const ModelBenchPart& part : r.parts)
    parts.add({part.name, microseconds_text(part.dense_seconds * 1e6),
               percent_text(part.dense_seconds / dense), microseconds_text(part.cross_seconds * 1e6),
               percent_text(part.cross_seconds / cross),
               part.product ? ratio_text(part.dense_seconds / part.cross_seconds) : ""});
  return fmt::format(
      "{}\n{}, {}, {} sparse, {} sentences of {} tokens\n\n{}\n{}\n"
      "speed-up {} (spread {:.0f} %, {} repetitions); not weight products: {} of the time\n"
      "least cosine between embeddings of the two sides: {:.6f}\n",
      r.device, r.architecture, r.dtype, percent_text(r.sparsity), r.sentences, r.length, sides.text(),
      parts.text(), ratio_text(r.speedup), 100 * r.spread, r.repetitions, percent_text(r.other_share()),
      r.least_cosine);
}

}  // namespace

json json_of(const ModelBenchReport& r) {
  json parts = json::array();
  for (const ModelBenchPart& part : r.parts)
    parts.push_back({{"name", part.name},
                     {"product", part.product},
                     {"dense_seconds", part.dense_seconds},
                     {"cross_seconds", part.cross_seconds}});
  return {{"device", r.device},
          {"architecture", r.architecture},
          {"dtype", r.dtype},
          {"sparsity", r.sparsity},
          {"sentences", r.sentences},
          {"length", r.length},
          {"baseline", r.baseline},
          {"dense_seconds", r.dense_seconds},
          {"cross_seconds", r.cross_seconds},
          {"dense_sentences_per_s", r.dense_sentences_per_s()},
          {"cross_sentences_per_s", r.cross_sentences_per_s()},
          {"speedup", r.speedup},
          {"spread", r.spread},
          {"repetitions", r.repetitions},
          {"other_share", r.other_share()},
          {"least_cosine", r.least_cosine},
          {"bytes_dense", r.bytes_dense},
          {"bytes_plan", r.bytes_plan},
          {"parts", parts}};
}

void add_bench_model_flags(CLI::App& command, BenchModelFlags& flags) {
  command.add_option("--sentences", flags.sentences, "of a batch of a whole model (default 32)")
      ->type_name("N");
  command.add_option("--length", flags.length, "tokens of each sentence (default 128)")->type_name("N");
}

void bench_whole_model(const Plan& plan, const BenchModelFlags& flags, const std::string& baseline,
                       double seconds, int threads, const CommonOptions& common) {
  ModelBenchOptions options;
  if (flags.sentences != 0) options.sentences = flags.sentences;
  if (flags.length != 0) options.length = flags.length;
  if (seconds > 0) options.seconds = seconds;
  options.threads = threads;
  options.baseline = baseline;
  ModelBenchReport report;
  {
    Progress progress("bench", common.quiet);
    options.on_step = [&](std::size_t done, std::size_t total, std::string_view what) {
      progress.step(done, total, what);
    };
    report = bench_model(plan, options);
  }
  if (common.json)
    print_json(json_of(report));
  else
    print(report_text(report));
}

}  // namespace cross::cli
