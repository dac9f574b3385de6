// Colours of charts and pages, light and dark, and the style sheets made of them.
#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <string_view>

namespace cross::report {

struct ThemeColor {
  std::string_view name;  ///< of the CSS variable, without "--"
  std::string_view light, dark;
};

/// Surfaces and text.
inline constexpr std::array<ThemeColor, 6> theme_colors = {{
    {"page", "#ffffff", "#0d1117"},
    {"card", "#f4f6f8", "#161b22"},
    {"ink", "#1b1f24", "#e6edf3"},
    {"muted", "#57606a", "#9aa4af"},
    {"line", "#d0d7de", "#30363d"},
    {"link", "#0b5cad", "#6cb6ff"},
}};

/// What charts tell things apart by. The last one is for dense and for what was not chosen.
inline constexpr std::array<ThemeColor, 7> series_colors = {{
    {"s0", "#1f6fb4", "#5aa9f0"},
    {"s1", "#c2510a", "#f0883e"},
    {"s2", "#2f7d32", "#56b85c"},
    {"s3", "#7a4fa3", "#b48ae0"},
    {"s4", "#0f7b84", "#35b5bf"},
    {"s5", "#b3303f", "#ef6b78"},
    {"s6", "#7a838d", "#848d97"},
}};
inline constexpr int dense_color = static_cast<int>(series_colors.size()) - 1;

/// "var(--s2)"; counts beyond the last start again, without the grey one.
std::string series_color(std::size_t index);

/// Ratio of luminances of two "#rrggbb" by WCAG 2: (L1 + 0.05) / (L2 + 0.05), the lighter one above.
double contrast(std::string_view a, std::string_view b);

/// The variables under `selector`, for both schemes.
std::string theme_css(std::string_view selector);

/// Classes of charts (chart.h), for pages and for files that hold one chart.
std::string_view chart_css();

}  // namespace cross::report
