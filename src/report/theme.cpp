#include "report/theme.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>

namespace cross::report {
namespace {

double luminance(std::string_view color) {
  double sum = 0;
  constexpr double weights[] = {0.2126, 0.7152, 0.0722};
  for (std::size_t i = 0; i < 3; ++i) {
    int value = 0;
    std::from_chars(color.data() + 1 + 2 * i, color.data() + 3 + 2 * i, value, 16);
    const double share = value / 255.0;
    sum += weights[i] * (share <= 0.03928 ? share / 12.92 : std::pow((share + 0.055) / 1.055, 2.4));
  }
  return sum;
}

std::string variables(bool dark) {
  std::string css = dark ? "color-scheme:dark;" : "color-scheme:light;";
  const auto add = [&](const ThemeColor& color) {
    css += fmt::format("--{}:{};", color.name, dark ? color.dark : color.light);
  };
  std::for_each(theme_colors.begin(), theme_colors.end(), add);
  std::for_each(series_colors.begin(), series_colors.end(), add);
  return css;
}

}  // namespace

std::string series_color(std::size_t index) {
  return fmt::format("var(--{})", series_colors[index % (series_colors.size() - 1)].name);
}

double contrast(std::string_view a, std::string_view b) {
  const double x = luminance(a), y = luminance(b);
  return (std::max(x, y) + 0.05) / (std::min(x, y) + 0.05);
}

std::string theme_css(std::string_view selector) {
  return fmt::format("{0}{{{1}}}@media screen and (prefers-color-scheme:dark){{{0}{{{2}}}}}", selector,
                     variables(false), variables(true));
}

std::string_view chart_css() {
  return ".chart text{fill:var(--ink);font:13px system-ui,-apple-system,'Segoe UI',sans-serif}"
         ".chart .quiet{fill:var(--muted)}"
         ".chart .grid{stroke:var(--line);stroke-width:1}"
         ".chart .one{stroke:var(--muted);stroke-width:1.5}"
         ".chart .curve{fill:none;stroke-width:2;stroke-linejoin:round}"
         ".chart .shade{fill-opacity:.12}"
         ".chart .dot{fill-opacity:.75}";
}

}  // namespace cross::report
