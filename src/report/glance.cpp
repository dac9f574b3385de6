// The head of the page: name, and the few numbers that matter most.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/quantities.h"
#include "report/numbers.h"
#include "report/sections.h"
#include "report/theme.h"

namespace cross::report {
namespace {

using base::bytes_text;

struct Tile {
  std::string label, value, unit;
  std::vector<std::string> notes;
};

void write_tile(Markup& out, const Tile& tile) {
  out.inside("div", {{"class", "tile"}}, [&] {
    out.element("dt", {}, tile.label);
    out.inside("dd", {}, [&] {
      out.element("strong", {}, tile.value);
      if (!tile.unit.empty()) out.element("span", {{"class", "unit"}}, " " + tile.unit);
      for (const std::string& note : tile.notes) out.element("p", {}, note);
    });
  });
}

Tile speed_tile(const Report& report) {
  if (const auto& bench = report.evidence.model)
    return {"Whole model",
            ratio(bench->speedup),
            "as fast",
            {fmt::format("{:.1f} → {:.1f} sentences/s, {} sentences of {}", bench->dense_sentences_per_s(),
                         bench->cross_sentences_per_s(), bench->sentences, tokens(bench->length)),
             "against the same weights through " + bench->baseline}};
  if (report.totals.empty() || report.totals.back().speedup <= 0)
    return {"Speed", "–", "", {"The plan holds no times: it was compiled without measuring."}};
  const ReportTime& last = report.totals.back();
  std::string others;
  for (const ReportTime& total : report.totals)
    if (&total != &last && total.speedup > 0)
      others +=
          fmt::format("{}{} at {}", others.empty() ? "" : ", ", ratio(total.speedup), tokens(total.tokens));
  Tile tile{"Weight products", ratio(last.speedup), "as fast", {}};
  tile.notes.push_back(fmt::format("all layers at {}, {} → {}", tokens(last.tokens),
                                   microseconds(last.dense_us), microseconds(last.cross_us)));
  if (!others.empty()) tile.notes.push_back(others);
  tile.notes.push_back(fmt::format("against the best dense library, {}", name_of(last.evidence)));
  return tile;
}

Tile phase_tile(const std::string& label, const DecoderPhase& phase, const std::string& what) {
  return {label,
          ratio(phase.speedup),
          "as fast",
          {fmt::format("{:.1f} → {:.1f} tokens/s, {}", phase.dense_tokens_per_s(), phase.cross_tokens_per_s(),
                       what),
           "against the same weights through " + phase.baseline}};
}

Tile decode_tile(const DecoderBenchReport& bench) {
  return phase_tile("Whole model, decode", bench.decode,
                    "one by one after a prompt of " + tokens(bench.prefill.tokens));
}

Tile prefill_tile(const DecoderBenchReport& bench) {
  return phase_tile("Whole model, prefill", bench.prefill,
                    fmt::format("a prompt of {} at once", tokens(bench.prefill.tokens)));
}

Tile size_tile(const Report& report) {
  Tile tile{"Size", bytes_text(report.bytes_plan), "", {}};
  tile.notes.push_back(fmt::format("from {} dense in {}: {}", bytes_text(report.bytes_dense),
                                   report.plan.dtype, size_change(report.bytes_dense, report.bytes_plan)));
  if (report.bytes_other > 0)
    tile.notes.push_back(bytes_text(report.bytes_other) + " of both: embeddings, norms, biases");
  return tile;
}

Tile sparsity_tile(const Report& report) {
  double kept = 0, all = 0;
  for (const LayerExplanation& layer : report.plan.layers) {
    kept += static_cast<double>(layer.nnz);
    all += static_cast<double>(layer.rows) * static_cast<double>(layer.cols);
  }
  const std::size_t layers = report.plan.layers.size();
  return {"Sparsity",
          percent(report.sparsity),
          "pruned",
          {fmt::format("{} of {} weights are kept", count(kept), count(all)),
           fmt::format("in {} compiled layer{}", layers, layers == 1 ? "" : "s")}};
}

Tile quality_tile(const Evaluation& quality) {
  const bool known = std::isfinite(quality.rank_correlation);
  return {
      "Quality: rank correlation",
      known ? fmt::format("{:.3f}", quality.rank_correlation) : "–",
      "",
      {"of sentence-pair cosines with the dense model's: 1 ranks all pairs alike",
       fmt::format("embeddings: mean cosine {:.3f}, least {:.3f}", quality.mean_cosine, quality.least_cosine),
       fmt::format("{} sentences, {} pairs", quality.sentences, quality.pairs)}};
}

Tile quality_tile(const DecoderEvaluation& quality) {
  Tile tile{"Quality: perplexity", perplexity(quality.plan.perplexity), "", {}};
  tile.notes.push_back(fmt::format("the dense model's is {}: {}; lower is better",
                                   perplexity(quality.reference.perplexity),
                                   ratio(quality.plan.perplexity / quality.reference.perplexity)));
  tile.notes.push_back(
      fmt::format("{}, windows of {} every {}", tokens(quality.tokens), quality.window, quality.stride));
  return tile;
}

}  // namespace

void write_glance(Page& page) {
  const Report& report = page.report;
  Markup& out = page.out;
  out.inside("header", {}, [&] {
    out.element("p", {{"class", "kicker"}}, "CROSS report");
    out.inside("h1", {},
               [&] { write_name(out, report.plan.source.empty() ? "a plan" : report.plan.source); });
    const std::string workers =
        report.plan.device == "cuda"
            ? fmt::format("packed for {} SMs of sm{}", report.plan.sms, report.plan.sm)
            : fmt::format("{} thread{}", report.plan.threads, report.plan.threads == 1 ? "" : "s");
    out.inside("p", {{"class", "subtitle"}}, [&] {
      out.text(fmt::format("{} in {}, compiled for ",
                           report.architecture.empty() ? "Linear layers" : report.architecture,
                           report.plan.dtype));
      out.element("bdi", {}, report.plan.compiled_on);
      out.text(", " + workers);
    });
    out.inside("dl", {{"class", "tiles"}}, [&] {
      if (const auto& bench = report.evidence.decoder) {
        write_tile(out, decode_tile(*bench));
        write_tile(out, prefill_tile(*bench));
      } else {
        write_tile(out, speed_tile(report));
      }
      write_tile(out, size_tile(report));
      write_tile(out, sparsity_tile(report));
      if (report.evidence.quality) write_tile(out, quality_tile(*report.evidence.quality));
      if (report.evidence.decoder_quality) write_tile(out, quality_tile(*report.evidence.decoder_quality));
    });
  });
}

}  // namespace cross::report
