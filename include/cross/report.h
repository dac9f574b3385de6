// report: a plan as one HTML page that anyone can open: what was decided, what it gained, what it cost.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cross/bench.h"
#include "cross/bench_decoder.h"
#include "cross/bench_model.h"
#include "cross/evaluate.h"
#include "cross/evaluate_decoder.h"
#include "cross/explain.h"
#include "cross/plan.h"

namespace cross {

/// Densities (share of nonzeros, 0..1) of `block` × `block` positions of a matrix; blocks at the right and
/// bottom edges are smaller. Without blocks: not there.
struct DensityGrid {
  std::int64_t block = 0;
  std::int64_t rows = 0, cols = 0;
  std::vector<float> density;  ///< [rows, cols]
};

/// Rows and columns of a layer, in packed order, that are stored in one format.
struct FormatRegion {
  std::int64_t row_begin = 0, row_end = 0, k_begin = 0, k_end = 0;
  std::string format;
};

/// What a time rests on; a sum is as sure as the least of its parts.
enum class Evidence : std::uint8_t { predicted, measured_at_compile, benched };

constexpr std::string_view name_of(Evidence evidence) {
  switch (evidence) {
    case Evidence::predicted:
      return "predicted";
    case Evidence::measured_at_compile:
      return "measured when compiled";
    case Evidence::benched:
      return "measured for this report";
  }
  return "?";
}

/// A layer, or all of them, at one token count. 0: not known.
struct ReportTime {
  std::int64_t tokens = 0;
  double dense_us = 0, cross_us = 0, speedup = 0;
  Evidence evidence = Evidence::predicted;
};

struct LayerReport {
  DensityGrid as_stored;              ///< rows in W's order
  DensityGrid as_packed;              ///< rows in packed order; not there if that is W's
  std::vector<FormatRegion> regions;  ///< of the first sparse copy; empty for a single one, or for too many
  std::vector<ReportTime> times;      ///< one for each token count of the plan
};

/// What was measured beside the plan; all of it optional.
struct ReportEvidence {
  std::optional<Evaluation> quality;                 ///< of an encoder
  std::optional<DecoderEvaluation> decoder_quality;  ///< of a decoder
  std::optional<ModelBenchReport> model;             ///< a whole encoder
  std::optional<DecoderBenchReport> decoder;         ///< a whole decoder
  std::optional<BenchReport> layers;                 ///< of a plan of layers
};

struct Report {
  PlanExplanation plan;
  std::string architecture;  ///< of a model plan; empty for a plan of layers
  /// The whole model in the plan's dtype, dense and as the plan stores it, and what of both is no weight of a
  /// linear layer: embeddings, norms, biases.
  std::uint64_t bytes_dense = 0, bytes_plan = 0, bytes_other = 0;
  double sparsity = 0;              ///< of all compiled weights together
  std::vector<LayerReport> layers;  ///< as plan.layers
  std::vector<ReportTime> totals;   ///< of all layers, for token counts that all of them were compiled for
  ReportEvidence evidence;
};

/// Reads every packed weight once, on `threads` threads (0: one per core). Works for plans of every device,
/// on any machine.
Report make_report(const Plan& plan, ReportEvidence evidence = {}, int threads = 0);

/// One HTML file that needs nothing else: no network, no scripts (one sorts tables where scripts run). Text
/// from the plan is escaped. At most `most_report_bytes`: of a plan with very many layers, the last ones
/// stand in the table only, and the page says so.
std::string report_html(const Report& report);
inline constexpr std::size_t most_report_bytes = std::size_t{8} << 20;

}  // namespace cross
