// The head of the page, and the whole model.
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

void write_parts(Markup& out, const ModelBenchReport& bench) {
  double dense = 0, cross = 0, most = 0;
  for (const ModelBenchPart& part : bench.parts) {
    dense += part.dense_seconds;
    cross += part.cross_seconds;
    most = std::max({most, part.dense_seconds, part.cross_seconds});
  }
  open_table(out, "parts", "Time of one batch by part of the model, dense above, plan below");
  write_headings(out, {"Part", "#Dense", "#Plan", "#Speed-up", "Dense and plan"});
  out.open("tbody");
  const auto row = [&](const std::string& name, double before, double after, double longest, bool product) {
    out.inside("tr", {}, [&] {
      out.element("th", {{"scope", "row"}}, name);
      write_number(out, microseconds(before * 1e6), before);
      write_number(out, microseconds(after * 1e6), after);
      write_number(out, product && after > 0 ? ratio(before / after) : "", after > 0 ? before / after : 0);
      out.inside("td", {{"class", "bars"}}, [&] {
        write_bar(out, before / longest, "var(--s6)");
        write_bar(out, after / longest, "var(--s0)");
      });
    });
  };
  for (const ModelBenchPart& part : bench.parts)
    row(part.name, part.dense_seconds, part.cross_seconds, most, part.product);
  out.close();
  // Without a speed-up: that of the whole is a median of ratios, and stands above.
  out.inside("tfoot", {}, [&] { row("all parts", dense, cross, std::max(dense, cross), false); });
  close_table(out);
}

void write_quality(Markup& out, const Evaluation& quality) {
  open_table(out, "facts", "From text to embeddings, and what the embeddings are worth");
  write_headings(out, {"", "#Reference, dense, fp32", "#Plan"});
  out.inside("tbody", {}, [&] {
    const auto row = [&](const std::string& name, const std::string& before, const std::string& after) {
      out.inside("tr", {}, [&] {
        out.element("th", {{"scope", "row"}}, name);
        out.element("td", {{"class", "n"}}, before);
        out.element("td", {{"class", "n"}}, after);
      });
    };
    row("Sentences per second", fmt::format("{:.0f}", quality.reference_sentences_per_s),
        fmt::format("{:.0f} ({})", quality.plan_sentences_per_s,
                    ratio(quality.plan_sentences_per_s / quality.reference_sentences_per_s)));
    row("Size", bytes_text(quality.bytes_reference),
        fmt::format("{} ({})", bytes_text(quality.bytes_plan),
                    size_change(quality.bytes_reference, quality.bytes_plan)));
    row("Rank correlation of pair cosines", "1",
        std::isfinite(quality.rank_correlation) ? fmt::format("{:.4f}", quality.rank_correlation) : "–");
    row("Cosine of a sentence's two embeddings", "1",
        fmt::format("mean {:.4f}, least {:.4f}", quality.mean_cosine, quality.least_cosine));
  });
  close_table(out);
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
      write_tile(out, speed_tile(report));
      write_tile(out, size_tile(report));
      write_tile(out, sparsity_tile(report));
      if (report.evidence.quality) write_tile(out, quality_tile(*report.evidence.quality));
    });
  });
}

void write_whole_model(Page& page) {
  const ReportEvidence& evidence = page.report.evidence;
  Markup& out = page.out;
  if (const auto& bench = evidence.model) {
    open_section(
        out, "whole-model", "The whole model",
        fmt::format("{} as fast: the median of {} pairs of runs, spread {:.0f} %. {} of the plan's time goes "
                    "into what is no weight product and runs the same code on both sides. The two sides' "
                    "embeddings have cosine {:.6f} or more. Measured on {}.",
                    ratio(bench->speedup), bench->repetitions, 100 * bench->spread,
                    percent(bench->other_share()), bench->least_cosine, bench->device));
    write_parts(out, *bench);
    out.close();
  }
  if (evidence.quality) {
    open_section(
        out, "quality", "What pruning cost",
        fmt::format("The plan's embeddings of {} sentences beside those of the model before pruning.",
                    evidence.quality->sentences));
    write_quality(out, *evidence.quality);
    out.close();
  } else if (!page.report.architecture.empty()) {
    open_section(out, "quality", "What pruning cost",
                 "Not measured. `cross report PLAN --reference MODEL --text FILE` compares with the model "
                 "before pruning.");
    out.close();
  }
}

}  // namespace cross::report
