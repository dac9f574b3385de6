// The whole model, measured part by part, and what pruning cost it.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/quantities.h"
#include "report/numbers.h"
#include "report/sections.h"

namespace cross::report {
namespace {

using base::bytes_text;

/// What both sides of a measurement take in all parts together.
struct Whole {
  double dense = 0, cross = 0, longest_part = 0;
};

Whole whole_of(const std::vector<ModelBenchPart>& parts) {
  Whole whole;
  for (const ModelBenchPart& part : parts) {
    whole.dense += part.dense_seconds;
    whole.cross += part.cross_seconds;
    whole.longest_part = std::max({whole.longest_part, part.dense_seconds, part.cross_seconds});
  }
  return whole;
}

void write_parts(Markup& out, const std::vector<ModelBenchPart>& parts, const std::string& caption) {
  const Whole whole = whole_of(parts);
  open_table(out, "parts", caption + " by part of the model, dense above, plan below");
  write_headings(out, {"Part", "#Dense", "#Share", "#Plan", "#Share", "#Speed-up", "Dense and plan"});
  const auto share = [](double seconds, double all) { return all > 0 ? seconds / all : 0; };
  const auto row = [&](const std::string& name, double before, double after, double longest, bool product) {
    out.inside("tr", {}, [&] {
      out.element("th", {{"scope", "row"}}, name);
      write_number(out, microseconds(before * 1e6), before);
      write_number(out, percent(share(before, whole.dense)), share(before, whole.dense));
      write_number(out, microseconds(after * 1e6), after);
      write_number(out, percent(share(after, whole.cross)), share(after, whole.cross));
      write_number(out, product && after > 0 ? ratio(before / after) : "", after > 0 ? before / after : 0);
      out.inside("td", {{"class", "bars"}}, [&] {
        write_bar(out, share(before, longest), "var(--s6)");
        write_bar(out, share(after, longest), "var(--s0)");
      });
    });
  };
  out.open("tbody");
  for (const ModelBenchPart& part : parts)
    row(part.name, part.dense_seconds, part.cross_seconds, whole.longest_part, part.product);
  out.close();
  // Without a speed-up: that of the whole is a median of ratios, and stands above.
  out.inside("tfoot", {},
             [&] { row("all parts", whole.dense, whole.cross, std::max(whole.dense, whole.cross), false); });
  close_table(out);
}

/// A table of two sides: what each is like, and how they compare.
class Sides {
 public:
  Sides(Markup& out, const std::string& caption) : out_(out) {
    open_table(out_, "facts", caption);
    write_headings(out_, {"", "#Reference, dense, fp32", "#Plan"});
    out_.open("tbody");
  }
  void row(const std::string& name, const std::string& before, const std::string& after) {
    out_.inside("tr", {}, [&] {
      out_.element("th", {{"scope", "row"}}, name);
      out_.element("td", {{"class", "n"}}, before);
      out_.element("td", {{"class", "n"}}, after);
    });
  }
  void speed(const std::string& name, double before, double after) {
    const int digits = std::max(before, after) < 100 ? 1 : 0;
    row(name, fmt::format("{:.{}f}", before, digits),
        fmt::format("{:.{}f} ({})", after, digits, ratio(after / before)));
  }
  void size(std::uint64_t before, std::uint64_t after) {
    row("Size", bytes_text(before), fmt::format("{} ({})", bytes_text(after), size_change(before, after)));
  }
  void close() {
    out_.close();
    close_table(out_);
  }

 private:
  Markup& out_;
};

void write_encoder_quality(Markup& out, const Evaluation& quality) {
  open_section(out, "quality", "What pruning cost",
               fmt::format("The plan's embeddings of {} sentences beside those of the model before pruning.",
                           quality.sentences));
  Sides sides(out, "From text to embeddings, and what the embeddings are worth");
  sides.speed("Sentences per second", quality.reference_sentences_per_s, quality.plan_sentences_per_s);
  sides.size(quality.bytes_reference, quality.bytes_plan);
  sides.row("Rank correlation of pair cosines", "1",
            std::isfinite(quality.rank_correlation) ? fmt::format("{:.4f}", quality.rank_correlation) : "–");
  sides.row("Cosine of a sentence's two embeddings", "1",
            fmt::format("mean {:.4f}, least {:.4f}", quality.mean_cosine, quality.least_cosine));
  sides.close();
  out.close();
}

void write_decoder_quality(Markup& out, const DecoderEvaluation& quality) {
  open_section(
      out, "quality", "What pruning cost",
      fmt::format("How well the plan and the model before pruning predict a text of {}: perplexity is the "
                  "number of tokens among which a guess would be as good. A token sees those before it in "
                  "windows of {} that start every {}.",
                  tokens(quality.tokens + 1), quality.window, quality.stride));
  Sides sides(out, "Reading and continuing the text, and how well it is predicted");
  const DecoderScore &before = quality.reference, &after = quality.plan;
  sides.row(
      "Perplexity", perplexity(before.perplexity),
      fmt::format("{} ({})", perplexity(after.perplexity), ratio(after.perplexity / before.perplexity)));
  sides.speed("Prefill with all logits, tokens per second", before.prefill_tokens_per_s,
              after.prefill_tokens_per_s);
  sides.speed("Decode, tokens per second", before.decode_tokens_per_s, after.decode_tokens_per_s);
  sides.size(before.bytes, after.bytes);
  sides.close();
  out.close();
}

void write_encoder(Markup& out, const ModelBenchReport& bench) {
  open_section(
      out, "whole-model", "The whole model",
      fmt::format("{} as fast: the median of {} pairs of runs, spread {:.0f} %. {} of the plan's time goes "
                  "into what is no weight product and runs the same code on both sides. The two sides' "
                  "embeddings have cosine {:.6f} or more. Measured on {}.",
                  ratio(bench.speedup), bench.repetitions, 100 * bench.spread, percent(bench.other_share()),
                  bench.least_cosine, bench.device));
  write_parts(out, bench.parts, "Time of one batch");
  out.close();
}

void write_phase(Markup& out, const std::string& heading, const DecoderPhase& phase,
                 const std::string& caption) {
  out.element("h3", {}, heading);
  out.element("p", {{"class", "note"}},
              fmt::format("{} as fast, {:.2f} → {:.2f} tokens/s: the median of {} pairs of runs, spread "
                          "{:.0f} %, against the same weights through {}. {} of the plan's time goes into "
                          "what is no weight product and runs the same code on both sides. The two sides' "
                          "logits have cosine {:.6f} or more.",
                          ratio(phase.speedup), phase.dense_tokens_per_s(), phase.cross_tokens_per_s(),
                          phase.repetitions, 100 * phase.spread, phase.baseline, percent(phase.other_share()),
                          phase.least_cosine));
  write_parts(out, phase.parts, caption);
}

void write_decoder(Markup& out, const DecoderBenchReport& bench) {
  open_section(out, "whole-model", "The whole model",
               fmt::format("Reading a prompt and continuing it are measured apart, because the first is held "
                           "up by arithmetic and the second by memory. The output layer is {} and {} sparse. "
                           "Measured on {}.",
                           bench.tied ? "the embedding table" : "not the embedding table",
                           percent(bench.output_sparsity), bench.device));
  write_phase(out, "Decode: " + tokens(bench.decode.tokens) + " after the prompt", bench.decode,
              "Time of these tokens");
  write_phase(out, "Prefill: a prompt of " + tokens(bench.prefill.tokens), bench.prefill,
              "Time of the prompt");
  out.close();
}

}  // namespace

void write_whole_model(Page& page) {
  const ReportEvidence& evidence = page.report.evidence;
  if (evidence.model) write_encoder(page.out, *evidence.model);
  if (evidence.decoder) write_decoder(page.out, *evidence.decoder);
}

void write_quality(Page& page) {
  const ReportEvidence& evidence = page.report.evidence;
  if (evidence.quality) return write_encoder_quality(page.out, *evidence.quality);
  if (evidence.decoder_quality) return write_decoder_quality(page.out, *evidence.decoder_quality);
  if (page.report.architecture.empty()) return;
  open_section(page.out, "quality", "What pruning cost",
               "Not measured. `cross report PLAN --reference MODEL --text FILE` compares with the model "
               "before pruning.");
  page.out.close();
}

}  // namespace cross::report
