#include "gpu/plot.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace cross_bench {
namespace {

constexpr double width = 300, height = 260, left = 46, top = 54, gap = 26, below = 64;
constexpr double least_y = 0.1, most_y = 10;
constexpr const char* colors[] = {"#1f6fb4", "#d95f02", "#4d9a3a", "#7a4fa3"};

double y_at(double value) {
  const double share = std::log(std::clamp(value, least_y, most_y) / least_y) / std::log(most_y / least_y);
  return top + height * (1 - share);
}

}  // namespace

std::string svg_of(const std::vector<Panel>& panels, const std::string& title) {
  const double total = left + static_cast<double>(panels.size()) * (width + gap);
  std::string svg = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0:.0f}\" height=\"{1:.0f}\" viewBox=\"0 0 {0:.0f} "
      "{1:.0f}\" "
      "font-family=\"sans-serif\" font-size=\"11\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
      "<text x=\"{2:.0f}\" y=\"20\" font-size=\"14\">{3}</text>\n",
      total, top + height + below, left, title);
  for (std::size_t p = 0; p < panels.size(); ++p) {
    const double x0 = left + static_cast<double>(p) * (width + gap);
    double first = 1, last = 0;
    for (const Curve& curve : panels[p].curves)
      for (const auto& point : curve.points) {
        first = std::min(first, point.first);
        last = std::max(last, point.first);
      }
    const auto x_at = [&](double s) { return x0 + width * (s - first) / std::max(last - first, 1e-9); };
    svg += fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\">{}</text>\n", x0, top - 10, panels[p].title);
    for (const Span& span : panels[p].spans) {
      const double from = x_at(std::clamp(span.from, first, last)),
                   to = x_at(std::clamp(span.to, first, last));
      const char* color = colors[static_cast<std::size_t>(span.color) % std::size(colors)];
      svg += fmt::format(
          "<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\" fill=\"{}\" "
          "fill-opacity=\"0.12\"/><text x=\"{:.1f}\" y=\"{:.1f}\" fill=\"{}\" "
          "text-anchor=\"middle\">{}</text>\n",
          from, top, to - from, height, color, (from + to) / 2, top + 12, color, to > from ? span.label : "");
    }
    for (const double value : {0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0}) {
      svg += fmt::format("<line x1=\"{:.1f}\" x2=\"{:.1f}\" y1=\"{:.1f}\" y2=\"{:.1f}\" stroke=\"{}\"/>\n",
                         x0, x0 + width, y_at(value), y_at(value), value == 1 ? "#333333" : "#dddddd");
      if (p == 0)
        svg += fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"end\">{}x</text>\n", x0 - 5,
                           y_at(value) + 4, value);
    }
    for (double s = 0; s <= 1.0001; s += 0.1)
      if (s >= first - 1e-9 && s <= last + 1e-9)
        svg += fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"middle\">{:.0f} %</text>\n",
                           x_at(s), top + height + 16, 100 * s);
    double legend = x0;
    for (const Curve& curve : panels[p].curves) {
      std::string points;
      for (const auto& point : curve.points)
        points += fmt::format("{:.1f},{:.1f} ", x_at(point.first), y_at(point.second));
      const char* color = colors[static_cast<std::size_t>(curve.color) % std::size(colors)];
      const char* dash = curve.dashed ? " stroke-dasharray=\"5 4\"" : "";
      svg += fmt::format("<polyline fill=\"none\" stroke=\"{}\" stroke-width=\"1.8\"{} points=\"{}\"/>\n",
                         color, dash, points);
      svg += fmt::format(
          "<line x1=\"{0:.1f}\" x2=\"{1:.1f}\" y1=\"{2:.1f}\" y2=\"{2:.1f}\" stroke=\"{3}\" "
          "stroke-width=\"1.8\"{4}/><text x=\"{5:.1f}\" y=\"{6:.1f}\">{7}</text>\n",
          legend, legend + 18, top + height + 38, color, dash, legend + 22, top + height + 42, curve.label);
      legend += 34 + 6.2 * static_cast<double>(curve.label.size());
    }
  }
  return svg + "</svg>\n";
}

}  // namespace cross_bench
