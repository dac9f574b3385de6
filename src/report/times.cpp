// How well the cost model predicted, and how evenly the work is spread.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "report/chart.h"
#include "report/numbers.h"
#include "report/sections.h"
#include "report/theme.h"

namespace cross::report {
namespace {

/// Dots that a chart shows at most: more only cover each other, and each takes a hundred bytes.
constexpr std::size_t most_dots = 2000;

std::vector<Series> prediction_series(const Report& report) {
  Series chosen{"chosen", 0, Mark::dots, {}}, other{"measured, not chosen", 1, Mark::dots, {}},
      dense{"dense library", static_cast<std::size_t>(dense_color), Mark::dots, {}};
  const auto add = [](Series& to, const std::string& layer, std::int64_t count, const std::string& what,
                      double predicted, double measured) {
    // Beyond a nanosecond and a week a time is a slip of whoever wrote the plan.
    const auto credible = [](double us) { return us >= 1e-3 && us <= 1e12; };
    if (credible(predicted) && credible(measured))
      to.points.push_back({predicted, measured,
                           fmt::format("{}, {}, {}: predicted {}, measured {}", layer, tokens(count), what,
                                       microseconds(predicted), microseconds(measured))});
  };
  for (const LayerExplanation& layer : report.plan.layers)
    for (const TokensDecision& at : layer.tokens) {
      add(at.candidate == at.dense ? dense : chosen, layer.name, at.tokens, at.candidate, at.predicted_us,
          at.measured_us);
      for (const CandidateRecord& candidate : at.rejected)
        add(candidate.name == at.dense ? dense : other, layer.name, at.tokens, candidate.name,
            candidate.predicted_us, candidate.measured_us);
    }
  std::vector<Series> all;
  for (Series* series : {&dense, &other, &chosen})
    if (!series->points.empty()) all.push_back(std::move(*series));
  return all;
}

/// Every n-th point, so that at most `most_dots` are left.
void thin_out(std::vector<Series>& all, std::size_t points) {
  const std::size_t step = (points + most_dots - 1) / most_dots;
  if (step <= 1) return;
  for (Series& series : all) {
    std::vector<Point> kept;
    for (std::size_t i = 0; i < series.points.size(); i += step) kept.push_back(std::move(series.points[i]));
    series.points = std::move(kept);
  }
}

/// Sums over the layers at one token count, weighted by the time that each layer takes.
struct BalanceSum {
  std::size_t layers = 0, changed = 0, measured = 0;
  double weight = 0, predicted_before = 0, predicted_after = 0;
  double measured_weight = 0, measured_before = 0, measured_after = 0;
};

std::map<std::int64_t, BalanceSum> balance_sums(const Report& report) {
  std::map<std::int64_t, BalanceSum> sums;
  for (const LayerExplanation& layer : report.plan.layers)
    for (const TokensDecision& at : layer.tokens) {
      if (!at.balance) continue;
      const auto& b = *at.balance;
      BalanceSum& sum = sums[at.tokens];
      const double weight = at.measured_us > 0 ? at.measured_us : std::max(at.predicted_us, 1e-6);
      ++sum.layers;
      sum.changed += at.policy != "same" ? 1 : 0;
      sum.weight += weight;
      sum.predicted_before += weight * b.same;
      sum.predicted_after += weight * predicted_imbalance(at);
      if (b.measured <= 0) continue;
      const double before = at.policy == "same" ? b.measured : b.measured_same;
      if (before <= 0) continue;
      ++sum.measured;
      sum.measured_weight += weight;
      sum.measured_before += weight * before;
      sum.measured_after += weight * b.measured;
    }
  return sums;
}

/// Time lost to waiting: the busiest worker's time beyond the mean.
void write_imbalance(Markup& out, double before, double after, double most) {
  const auto cell = [&](double value, const char* color) {
    out.inside("td", {{"class", "n"}, {"data-v", fmt::format("{:.6g}", value)}}, [&] {
      out.text(value > 0 ? fmt::format("{:.3f}", value) : "–");
      out.inside("span", {{"class", "gauge"}}, [&] { write_bar(out, (value - 1) / most, color); });
    });
  };
  cell(before, "var(--s6)");
  cell(after, "var(--s0)");
}

}  // namespace

double predicted_imbalance(const TokensDecision& at) {
  if (!at.balance) return 0;
  return at.policy == "paired"          ? at.balance->paired
         : at.policy == "longest_first" ? at.balance->longest_first
                                        : at.balance->same;
}

void write_predictions(Page& page) {
  std::vector<Series> all = prediction_series(page.report);
  std::vector<double> ratios;
  double least = 1e300, most = 0;
  for (const Series& series : all)
    for (const Point& point : series.points) {
      ratios.push_back(point.y / point.x);
      least = std::min({least, point.x, point.y});
      most = std::max({most, point.x, point.y});
    }
  if (ratios.empty()) return;
  std::sort(ratios.begin(), ratios.end());
  const auto close = static_cast<double>(
      std::count_if(ratios.begin(), ratios.end(), [](double r) { return r <= 1.25 && r >= 0.8; }));
  const std::size_t points = ratios.size();
  thin_out(all, points);
  const auto axis = [&](const char* title) { return logarithmic_axis(title, least, most, round_time); };
  Chart chart{"Predicted and measured times", axis("predicted"), axis("measured"), 0, {}, std::move(all)};
  // One scale for both, so that the diagonal is where predictions hold.
  chart.guides.push_back({{chart.x.least, chart.x.least, ""}, {chart.x.most, chart.x.most, ""}});
  Markup& out = page.out;
  open_section(
      out, "predictions", "Predicted and measured",
      fmt::format("Each dot is a way of running a layer that was timed while compiling; on the line the cost "
                  "model was right. Of {} times {} are within a quarter of the prediction; the median is {} "
                  "the prediction. Prices: {}.",
                  points, percent(close / static_cast<double>(points)), ratio(ratios[points / 2]),
                  page.report.plan.profile_source));
  out.inside("div", {{"class", "charts"}}, [&] { out.add(draw(chart)); });
  out.close();
}

void write_balance(Page& page) {
  const auto sums = balance_sums(page.report);
  if (sums.empty()) return;
  double most = 0.02;
  bool measured = false;
  for (const auto& [count, s] : sums) {
    most = std::max({most, s.predicted_before / s.weight - 1, s.predicted_after / s.weight - 1});
    if (s.measured == 0) continue;
    measured = true;
    most =
        std::max({most, s.measured_before / s.measured_weight - 1, s.measured_after / s.measured_weight - 1});
  }
  Markup& out = page.out;
  open_section(
      out, "balance", "Worker loads before and after balance",
      fmt::format(
          "The busiest worker's load over the mean of all: 1 is even, and the bar is what is above 1. "
          "Before: the same panels to the same worker for every item of a batch. After: the policy "
          "that the plan takes. Means over the layers, weighted by their times.{}",
          measured ? "" : " Not measured when the plan was compiled."));
  open_table(out, "balance", "Imbalance by token count");
  write_headings(out, {"Tokens", "#Layers", "#Dealt anew", "#Predicted before", "#Predicted after",
                       "#Measured before", "#Measured after"});
  out.inside("tbody", {}, [&] {
    for (const auto& entry : sums)
      out.inside("tr", {}, [&] {
        const auto& [count, s] = entry;  // clang 14 captures no binding of the enclosing function
        out.element("th", {{"scope", "row"}}, fmt::format("{}", count));
        write_number(out, fmt::format("{}", s.layers), static_cast<double>(s.layers));
        write_number(out, fmt::format("{}", s.changed), static_cast<double>(s.changed));
        write_imbalance(out, s.predicted_before / s.weight, s.predicted_after / s.weight, most);
        const double weight = s.measured > 0 ? s.measured_weight : 1;
        write_imbalance(out, s.measured_before / weight, s.measured_after / weight, most);
      });
  });
  close_table(out);
  out.close();
}

}  // namespace cross::report
