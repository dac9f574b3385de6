// Curves over sparsity as an SVG file.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace cross_bench {

struct Curve {
  std::string label;
  int color = 0;  ///< curves of one colour belong together
  bool dashed = false;
  std::vector<std::pair<double, double>> points;  ///< sparsity, speed-up
};

/// A range of sparsities, shaded and named.
struct Span {
  std::string label;
  double from = 0, to = 1;
  int color = 0;
};

struct Panel {
  std::string title;
  std::vector<Curve> curves;
  std::vector<Span> spans = {};
};

/// Panels side by side, speed-ups on a logarithmic axis with a line at 1.
std::string svg_of(const std::vector<Panel>& panels, const std::string& title);

}  // namespace cross_bench
