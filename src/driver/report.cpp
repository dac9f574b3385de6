// report: gathers what a page shows.
#include "cross/report.h"

#include <algorithm>
#include <cmath>

#include "driver/dense_twin.h"
#include "driver/density_grid.h"
#include "driver/machine.h"

namespace cross {
namespace {

/// A block is half a byte of the page; all pictures together take about this.
constexpr double heat_map_bytes = 1.5e6;
constexpr std::int64_t most_side = 96, least_side = 16;
constexpr std::size_t most_regions = 200;

std::int64_t side_for(std::size_t layers) {
  const double side =
      std::sqrt(2 * heat_map_bytes / (2 * static_cast<double>(std::max<std::size_t>(layers, 1))));
  return std::clamp(static_cast<std::int64_t>(side), least_side, most_side);
}

/// The copy that shows most: a sparse one, if there is one.
const Packing& shown_copy(const LayerPlan& layer) {
  for (const Packing& packing : layer.packings)
    if (!packing.dense()) return packing;
  return layer.packings.front();
}

ReportTime time_of(const LayerExplanation& layer, const TokensDecision& at, const ReportEvidence& evidence) {
  if (evidence.layers)
    for (const BenchRow& row : evidence.layers->layers)
      if (row.name == layer.name && row.tokens == at.tokens)
        return {at.tokens, row.dense_us, row.cross_us, row.speedup, Evidence::benched};
  // Two sides of one ratio must have been had in the same way.
  if (at.measured_us > 0 && at.dense_measured_us > 0)
    return {at.tokens, at.dense_measured_us, at.measured_us, at.speedup, Evidence::measured_at_compile};
  return {at.tokens, at.dense_predicted_us, at.predicted_us, at.speedup, Evidence::predicted};
}

/// Sums for the token counts at which every layer's times are known.
std::vector<ReportTime> totals_of(const std::vector<LayerReport>& layers) {
  std::vector<ReportTime> totals;
  if (layers.empty()) return totals;
  for (const ReportTime& first : layers.front().times) {
    ReportTime total{first.tokens, 0, 0, 0, Evidence::benched};
    bool known = true;
    for (const LayerReport& layer : layers) {
      const auto time = std::find_if(layer.times.begin(), layer.times.end(),
                                     [&](const ReportTime& t) { return t.tokens == first.tokens; });
      known = known && time != layer.times.end() && time->dense_us > 0 && time->cross_us > 0;
      if (!known) break;
      total.dense_us += time->dense_us;
      total.cross_us += time->cross_us;
      total.evidence = std::min(total.evidence, time->evidence);
    }
    if (!known) continue;
    total.speedup = total.dense_us / total.cross_us;
    totals.push_back(total);
  }
  return totals;
}

}  // namespace

Report make_report(const Plan& plan, ReportEvidence evidence, int threads) {
  Report report;
  report.plan = explain(plan);
  report.evidence = std::move(evidence);
  if (plan.model) report.architecture = plan.model->architecture;
  report.bytes_plan = driver::stored_bytes(plan);
  report.bytes_other = report.bytes_plan - report.plan.bytes_plan;
  report.bytes_dense = report.plan.bytes_dense + report.bytes_other;

  const auto executor = make_openmp_executor(driver::resolve_threads(threads));
  const std::int64_t side = side_for(plan.layers.size());
  for (std::size_t i = 0; i < plan.layers.size(); ++i) {
    const LayerPlan& layer = plan.layers[i];
    LayerReport part;
    const Packing& copy = shown_copy(layer);
    driver::DensityGrids grids = driver::density_grids(layer, copy, side, *executor);
    part.as_stored = std::move(grids.as_stored);
    part.as_packed = std::move(grids.as_packed);
    part.regions = driver::format_regions(layer, copy, most_regions);
    // A picture of one colour says nothing.
    if (part.regions.size() == 1) part.regions.clear();
    for (const TokensDecision& at : report.plan.layers[i].tokens)
      part.times.push_back(time_of(report.plan.layers[i], at, report.evidence));
    report.layers.push_back(std::move(part));
  }
  report.sparsity = plan.sparsity();
  report.totals = totals_of(report.layers);
  return report;
}

}  // namespace cross
