// Charts as SVG: curves and dots over two axes. The report's charts and the README's plots are drawn here.
#pragma once

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "report/markup.h"

namespace cross::report {

struct Point {
  double x = 0, y = 0;
  std::string title;  ///< shown when the pointer rests on a dot
};

enum class Mark : unsigned char { curve, dashed_curve, dots };

struct Series {
  std::string label;
  std::size_t color = 0;  ///< index into series_colors; series of one colour belong together
  Mark mark = Mark::curve;
  std::vector<Point> points;
};

struct Tick {
  double at = 0;
  std::string label;
};

struct Axis {
  std::string title;
  double least = 0, most = 1;  ///< values beyond are drawn at the edge
  bool logarithmic = false;
  std::vector<Tick> ticks;
};

/// A range of x, shaded and named; nothing where it is empty.
struct Shade {
  std::string label;
  double from = 0, to = 1;
  std::size_t color = 0;
};

struct Chart {
  std::string title;  ///< also the name that screen readers speak
  Axis x, y;
  double line_at = 0;                           ///< an emphasised horizontal line; 0: none
  std::vector<std::pair<Point, Point>> guides;  ///< straight lines behind the data, such as x = y
  std::vector<Series> series;
  std::vector<Shade> shades = {};
};

/// 1, 2, 5, 10, … from at most `least` to at least `most`, each written by `label`.
template <class Label>
Axis logarithmic_axis(std::string title, double least, double most, Label&& label);

/// 0, 10, 20, … % from `least` to `most`.
Axis percent_axis(std::string title, double least, double most);

/// For a page that has theme_css and chart_css. Without its title: the page writes that.
Markup draw(const Chart& chart);

/// A file of its own: charts side by side, light or dark as its reader is.
std::string chart_file(const std::vector<Chart>& charts, const std::string& title);

// ---------------------------------------------------------------------------------------------------------

/// 1, 2 or 5 times a power of ten: the largest that is at most `value`, and the next one.
double round_down_125(double value);
double next_125(double value);

template <class Label>
Axis logarithmic_axis(std::string title, double least, double most, Label&& label) {
  Axis axis{std::move(title), round_down_125(least), 0, true, {}};
  double at = axis.least;
  for (;; at = next_125(at)) {
    axis.ticks.push_back({at, label(at)});
    if (at >= most * (1 - 1e-9)) break;
  }
  axis.most = at;
  return axis;
}

}  // namespace cross::report
