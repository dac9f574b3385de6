#include "report/chart.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "report/theme.h"

namespace cross::report {
namespace {

constexpr double width = 460, left = 64, right = 28, top = 30, plot_height = 250;
constexpr double axis_height = 46, legend_row = 22, character = 7.2;

std::string number(double value) { return fmt::format("{:.1f}", value); }

double share_of(const Axis& axis, double value) {
  value = std::clamp(value, axis.least, axis.most);
  const double share = axis.logarithmic ? std::log(value / axis.least) / std::log(axis.most / axis.least)
                                        : (value - axis.least) / (axis.most - axis.least);
  return std::isfinite(share) ? share : 0;
}

/// Where the labels of a legend stand, row by row.
struct Legend {
  std::vector<std::pair<double, double>> at;
  double height = 0;

  explicit Legend(const std::vector<Series>& series) {
    double x = left;
    for (const Series& one : series) {
      const double wide = 40 + character * static_cast<double>(one.label.size());
      if (x > left && x + wide > width) {
        x = left;
        height += legend_row;
      }
      at.emplace_back(x, height);
      x += wide;
    }
    if (!series.empty()) height += legend_row;
  }
};

class Drawing {
 public:
  Drawing(Markup& out, const Chart& chart) : out_(out), chart_(chart) {}

  void run() {
    for (const Shade& one : chart_.shades) shade(one);
    axes();
    for (const auto& [from, to] : chart_.guides)
      line("one", x_of(from.x), y_of(from.y), x_of(to.x), y_of(to.y));
    for (const Series& series : chart_.series) draw_series(series);
    legend();
  }

 private:
  double x_of(double value) const { return left + (width - left - right) * share_of(chart_.x, value); }
  double y_of(double value) const { return top + plot_height * (1 - share_of(chart_.y, value)); }

  void line(const char* kind, double x1, double y1, double x2, double y2) {
    out_.element(
        "line",
        {{"class", kind}, {"x1", number(x1)}, {"y1", number(y1)}, {"x2", number(x2)}, {"y2", number(y2)}});
  }
  void label(const char* kind, double x, double y, const char* anchor, const std::string& text) {
    out_.element("text", {{"class", kind}, {"x", number(x)}, {"y", number(y)}, {"text-anchor", anchor}},
                 text);
  }

  void shade(const Shade& one) {
    const double from = x_of(one.from), to = x_of(one.to);
    if (!(to > from)) return;
    const std::string color = color_of(one.color);
    out_.element("rect", {{"class", "shade"},
                          {"x", number(from)},
                          {"y", number(top)},
                          {"width", number(to - from)},
                          {"height", number(plot_height)},
                          {"style", "fill:" + color}});
    label("quiet", (from + to) / 2, top + 14, "middle", one.label);
  }

  void axes() {
    const double bottom = top + plot_height;
    for (const Tick& tick : chart_.y.ticks) {
      line("grid", left, y_of(tick.at), width - right, y_of(tick.at));
      label("quiet", left - 6, y_of(tick.at) + 4, "end", tick.label);
    }
    double taken = -1e9;  // labels that would run into the one before are left out
    for (const Tick& tick : chart_.x.ticks) {
      line("grid", x_of(tick.at), bottom, x_of(tick.at), bottom + 4);
      const double half = character * static_cast<double>(tick.label.size()) / 2;
      if (x_of(tick.at) - half < taken) continue;
      label("quiet", x_of(tick.at), bottom + 18, "middle", tick.label);
      taken = x_of(tick.at) + half + 4;
    }
    label("", left + (width - left - right) / 2, bottom + 38, "middle", chart_.x.title);
    label("", left, top - 12, "start", chart_.y.title);
    if (chart_.line_at > 0) line("one", left, y_of(chart_.line_at), width - right, y_of(chart_.line_at));
  }

  void draw_series(const Series& series) {
    const std::string color = color_of(series.color);
    if (series.mark == Mark::dots) {
      out_.inside("g", {{"class", "dot"}, {"style", "fill:" + color}}, [&] {
        for (const Point& point : series.points) dot(x_of(point.x), y_of(point.y), point.title);
      });
      return;
    }
    std::string points;
    for (const Point& point : series.points)
      points += fmt::format("{:.1f},{:.1f} ", x_of(point.x), y_of(point.y));
    Attributes attributes = {{"class", "curve"}, {"style", "stroke:" + color}, {"points", points}};
    if (series.mark == Mark::dashed_curve) attributes.emplace_back("stroke-dasharray", "5 4");
    out_.element("polyline", attributes);
  }

  void dot(double x, double y, const std::string& title) {
    out_.open("circle", {{"cx", number(x)}, {"cy", number(y)}, {"r", "4"}});
    if (!title.empty()) out_.element("title", {}, title);
    out_.close();
  }

  void legend() {
    const Legend places(chart_.series);
    for (std::size_t i = 0; i < chart_.series.size(); ++i) {
      const Series& series = chart_.series[i];
      const double x = places.at[i].first, y = top + plot_height + axis_height + places.at[i].second + 8;
      const std::string color = color_of(series.color);
      if (series.mark == Mark::dots) {
        out_.inside("g", {{"class", "dot"}, {"style", "fill:" + color}}, [&] { dot(x + 8, y, ""); });
      } else {
        Attributes attributes = {{"class", "curve"},
                                 {"style", "stroke:" + color},
                                 {"points", fmt::format("{:.1f},{:.1f} {:.1f},{:.1f}", x, y, x + 18, y)}};
        if (series.mark == Mark::dashed_curve) attributes.emplace_back("stroke-dasharray", "5 4");
        out_.element("polyline", attributes);
      }
      label("", x + 24, y + 4, "start", series.label);
    }
  }

  static std::string color_of(std::size_t index) {
    return fmt::format("var(--{})", series_colors[index % series_colors.size()].name);
  }

  Markup& out_;
  const Chart& chart_;
};

double height_of(const Chart& chart) { return top + plot_height + axis_height + Legend(chart.series).height; }

std::string view_box(double wide, double high) { return fmt::format("0 0 {:.0f} {:.0f}", wide, high); }

}  // namespace

double round_down_125(double value) {
  const double power = std::pow(10.0, std::floor(std::log10(value) + 1e-12));
  const double mantissa = value / power * (1 + 1e-12);
  return power * (mantissa >= 5 ? 5 : mantissa >= 2 ? 2 : 1);
}

double next_125(double value) {
  const double power = std::pow(10.0, std::floor(std::log10(value) + 1e-12));
  const double mantissa = value / power;
  return power * (mantissa > 4 ? 10 : mantissa > 1.5 ? 5 : 2);
}

Axis percent_axis(std::string title, double least, double most) {
  Axis axis{std::move(title), least, most > least ? most : least + 1, false, {}};
  for (int tenth = 0; tenth <= 10; ++tenth)
    if (const double at = tenth / 10.0; at >= least - 1e-9 && at <= most + 1e-9)
      axis.ticks.push_back({at, fmt::format("{} %", 10 * tenth)});
  return axis;
}

Markup draw(const Chart& chart) {
  Markup out;
  out.inside("svg",
             {{"class", "chart"},
              {"viewBox", view_box(width, height_of(chart))},
              {"role", "img"},
              {"aria-label", fmt::format("{}; {} against {}", chart.title, chart.y.title, chart.x.title)}},
             [&] { Drawing(out, chart).run(); });
  return out;
}

std::string chart_file(const std::vector<Chart>& charts, const std::string& title) {
  constexpr double heading = 34, name = 24;
  double high = 0;
  for (const Chart& chart : charts) high = std::max(high, height_of(chart));
  high += heading + name;
  const double wide = width * static_cast<double>(std::max<std::size_t>(charts.size(), 1));
  Markup out;
  out.inside("svg",
             {{"xmlns", "http://www.w3.org/2000/svg"},
              {"class", "chart"},
              {"width", fmt::format("{:.0f}", wide)},
              {"height", fmt::format("{:.0f}", high)},
              {"viewBox", view_box(wide, high)},
              {"role", "img"},
              {"aria-label", title}},
             [&] {
               out.verbatim("style", theme_css(".chart") + std::string(chart_css()));
               out.element("rect", {{"width", "100%"}, {"height", "100%"}, {"style", "fill:var(--page)"}});
               out.element("text", {{"x", number(left)}, {"y", "24"}, {"style", "font-size:16px"}}, title);
               for (std::size_t i = 0; i < charts.size(); ++i)
                 out.inside("g",
                            {{"transform", fmt::format("translate({:.0f} {:.0f})",
                                                       width * static_cast<double>(i), heading + name)}},
                            [&] {
                              out.element("text", {{"x", number(left)}, {"y", "-6"}}, charts[i].title);
                              Drawing(out, charts[i]).run();
                            });
             });
  return out.str() + "\n";
}

}  // namespace cross::report
