#include "bench_model.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "console.h"
#include "cross/decoder.h"
#include "cross/error.h"
#include "progress.h"
#include "results.h"
#include "table.h"

namespace cross::cli {

using json = nlohmann::ordered_json;

namespace {

/// What each part takes on both sides, and which share of it.
std::string parts_text(const std::vector<ModelBenchPart>& all) {
  double dense = 0, cross = 0;
  for (const ModelBenchPart& part : all) {
    dense += part.dense_seconds;
    cross += part.cross_seconds;
  }
  Table parts({"part", "dense", "share", "cross", "share", "speed-up"});
  for (const ModelBenchPart& part : all)
    parts.add({part.name, microseconds_text(part.dense_seconds * 1e6),
               percent_text(part.dense_seconds / dense), microseconds_text(part.cross_seconds * 1e6),
               percent_text(part.cross_seconds / cross),
               part.product ? ratio_text(part.dense_seconds / part.cross_seconds) : ""});
  return parts.text();
}

json parts_json(const std::vector<ModelBenchPart>& all) {
  json parts = json::array();
  for (const ModelBenchPart& part : all)
    parts.push_back({{"name", part.name},
                     {"product", part.product},
                     {"dense_seconds", part.dense_seconds},
                     {"cross_seconds", part.cross_seconds}});
  return parts;
}

std::string report_text(const ModelBenchReport& r) {
  Table sides({"", "sentences/s", "per batch", "size"});
  sides.add({"dense (" + r.baseline + ")", fmt::format("{:.1f}", r.dense_sentences_per_s()),
             microseconds_text(r.dense_seconds * 1e6), bytes_text(r.bytes_dense)});
  sides.add({"cross", fmt::format("{:.1f}", r.cross_sentences_per_s()),
             microseconds_text(r.cross_seconds * 1e6), bytes_text(r.bytes_plan)});
  return fmt::format(
      "{}\n{}, {}, {} sparse, {} sentences of {} tokens\n\n{}\n{}\n"
      "speed-up {} (spread {:.0f} %, {} repetitions); not weight products: {} of the time\n"
      "least cosine between embeddings of the two sides: {:.6f}\n",
      r.device, r.architecture, r.dtype, percent_text(r.sparsity), r.sentences, r.length, sides.text(),
      parts_text(r.parts), ratio_text(r.speedup), 100 * r.spread, r.repetitions,
      percent_text(r.other_share()), r.least_cosine);
}

}  // namespace

json json_of(const ModelBenchReport& r) {
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
          {"parts", parts_json(r.parts)}};
}

namespace {

std::string phase_text(const char* name, const DecoderPhase& p) {
  Table sides({name, "tokens/s", "per token"});
  sides.add({"dense (" + p.baseline + ")", fmt::format("{:.2f}", p.dense_tokens_per_s()),
             microseconds_text(1e6 / p.dense_tokens_per_s())});
  sides.add({"cross", fmt::format("{:.2f}", p.cross_tokens_per_s()),
             microseconds_text(1e6 / p.cross_tokens_per_s())});
  return fmt::format(
      "{}\n{}\nspeed-up {} (spread {:.0f} %, {} repetitions); not weight products: {} of the time\n"
      "least cosine between logits of the two sides: {:.6f}\n",
      sides.text(), parts_text(p.parts), ratio_text(p.speedup), 100 * p.spread, p.repetitions,
      percent_text(p.other_share()), p.least_cosine);
}

std::string report_text(const DecoderBenchReport& r) {
  return fmt::format(
      "{}\n{}, {}, {} sparse, output layer {} ({}); dense {}, plan {}\n\n{}\n{}", r.device, r.architecture,
      r.dtype, percent_text(r.sparsity), percent_text(r.output_sparsity),
      r.tied ? "tied: the embedding table" : "not tied", bytes_text(r.bytes_dense), bytes_text(r.bytes_plan),
      phase_text(fmt::format("prefill, {} tokens", r.prefill.tokens).c_str(), r.prefill),
      phase_text(fmt::format("decode, {} tokens after them", r.decode.tokens).c_str(), r.decode));
}

json phase_json(const DecoderPhase& p) {
  return {{"tokens", p.tokens},
          {"baseline", p.baseline},
          {"dense_seconds", p.dense_seconds},
          {"cross_seconds", p.cross_seconds},
          {"dense_tokens_per_s", p.dense_tokens_per_s()},
          {"cross_tokens_per_s", p.cross_tokens_per_s()},
          {"speedup", p.speedup},
          {"spread", p.spread},
          {"repetitions", p.repetitions},
          {"other_share", p.other_share()},
          {"least_cosine", p.least_cosine},
          {"parts", parts_json(p.parts)}};
}

}  // namespace

json json_of(const DecoderBenchReport& r) {
  return {{"device", r.device},
          {"architecture", r.architecture},
          {"dtype", r.dtype},
          {"sparsity", r.sparsity},
          {"output_sparsity", r.output_sparsity},
          {"tied", r.tied},
          {"bytes_dense", r.bytes_dense},
          {"bytes_plan", r.bytes_plan},
          {"prefill", phase_json(r.prefill)},
          {"decode", phase_json(r.decode)}};
}

namespace {

/// Measures by `run` with a bar on stderr, and prints.
template <class Options, class Run>
void measure_and_print(Options options, const Run& run, const CommonOptions& common) {
  const auto report = with_progress("bench", common.quiet, [&](auto on_step) {
    options.on_step = on_step;
    return run(options);
  });
  if (common.json)
    print_json(json_of(report));
  else
    print(report_text(report));
}

}  // namespace

void add_bench_model_flags(CLI::App& command, BenchModelFlags& flags) {
  command.add_option("--sentences", flags.sentences, "of a batch of a whole model (default 32)")
      ->type_name("N");
  command.add_option("--length", flags.length, "tokens of each sentence (default 128)")->type_name("N");
  command.add_option("--prompt", flags.prompt, "tokens that a whole decoder reads at once (default 512)")
      ->type_name("N");
  command.add_option("--generate", flags.generate, "tokens that follow one by one (default 16)")
      ->type_name("N");
}

void check_bench_model_flags(const Plan& plan, const BenchModelFlags& flags) {
  if (!flags.given()) return;
  if (!plan.model)
    throw UsageError(
        "--sentences, --length, --prompt and --generate are for whole models; the plan holds layers alone");
  const bool decoder = model_kind(plan) == ModelKind::decoder;
  if (decoder && flags.of_encoders())
    throw UsageError("--sentences and --length are for encoders; --prompt and --generate for decoders");
  if (!decoder && flags.of_decoders())
    throw UsageError("--prompt and --generate are for decoders; --sentences and --length for encoders");
}

ModelBenchOptions encoder_bench_options(const BenchModelFlags& flags, const std::string& baseline,
                                        double seconds, int threads) {
  ModelBenchOptions options;
  if (flags.sentences) options.sentences = *flags.sentences;
  if (flags.length) options.length = *flags.length;
  if (seconds > 0) options.seconds = seconds;
  options.threads = threads;
  options.baseline = baseline;
  return options;
}

DecoderBenchOptions decoder_bench_options(const BenchModelFlags& flags, const std::string& baseline,
                                          double seconds, int threads) {
  DecoderBenchOptions options;
  if (flags.prompt) options.prompt = *flags.prompt;
  if (flags.generate) options.generate = *flags.generate;
  if (seconds > 0) options.seconds = seconds;
  options.threads = threads;
  options.baseline = baseline;
  return options;
}

void bench_whole_model(const Plan& plan, const BenchModelFlags& flags, const std::string& baseline,
                       double seconds, int threads, const CommonOptions& common) {
  check_bench_model_flags(plan, flags);
  if (model_kind(plan) == ModelKind::decoder)
    measure_and_print(
        decoder_bench_options(flags, baseline, seconds, threads),
        [&](const DecoderBenchOptions& with) { return bench_decoder(plan, with); }, common);
  else
    measure_and_print(
        encoder_bench_options(flags, baseline, seconds, threads),
        [&](const ModelBenchOptions& with) { return bench_model(plan, with); }, common);
}

}  // namespace cross::cli
