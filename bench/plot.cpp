#include "plot.h"

#include <fmt/format.h>

#include <algorithm>

#include "report/chart.h"

namespace cross_bench {
namespace {

using cross::report::Chart;
using cross::report::Mark;

Chart chart_of(const Panel& panel) {
  double first = 1, last = 0;
  for (const Curve& curve : panel.curves)
    for (const auto& point : curve.points) {
      first = std::min(first, point.first);
      last = std::max(last, point.first);
    }
  Chart chart;
  chart.title = panel.title;
  chart.x = cross::report::percent_axis("sparsity", std::min(first, last), last);
  chart.y = cross::report::logarithmic_axis("speed-up over dense", 0.1, 10,
                                            [](double value) { return fmt::format("{:g}\u00d7", value); });
  double slowest = 1;
  for (const Curve& curve : panel.curves) {
    cross::report::Series series{curve.label,
                                 static_cast<std::size_t>(curve.color),
                                 curve.dashed ? Mark::dashed_curve : Mark::curve,
                                 {}};
    for (const auto& [sparsity, speedup] : curve.points) {
      series.points.push_back({sparsity, speedup, ""});
      slowest = std::min(slowest, speedup);
    }
    chart.series.push_back(std::move(series));
  }
  // Where nothing is slower than dense, the axis starts just below.
  if (slowest >= 0.9) {
    chart.y.least = 0.8;
    std::erase_if(chart.y.ticks, [](const auto& tick) { return tick.at < 1; });
  }
  for (const Span& span : panel.spans)
    chart.shades.push_back({span.label, span.from, span.to, static_cast<std::size_t>(span.color)});
  chart.line_at = 1;
  return chart;
}

}  // namespace

std::string svg_of(const std::vector<Panel>& panels, const std::string& title) {
  std::vector<Chart> charts;
  for (const Panel& panel : panels) charts.push_back(chart_of(panel));
  return cross::report::chart_file(charts, title);
}

}  // namespace cross_bench
