#include "report/numbers.h"

#include <fmt/format.h>

#include <cmath>

namespace cross::report {

std::string ratio(double value) {
  return value > 0 && std::isfinite(value) ? fmt::format("{:.2f}×", value) : "–";
}

std::string microseconds(double value) {
  if (!(value > 0)) return "–";
  if (value >= 1e6) return fmt::format("{:.2f} s", value * 1e-6);
  if (value >= 1e3) return fmt::format("{:.{}f} ms", value * 1e-3, value >= 1e5 ? 0 : value >= 1e4 ? 1 : 2);
  return fmt::format("{:.{}f} µs", value, value >= 100 ? 0 : value >= 10 ? 1 : 2);
}

std::string round_time(double value) {
  if (value >= 1e6) return fmt::format("{:g} s", value * 1e-6);
  if (value >= 1e3) return fmt::format("{:g} ms", value * 1e-3);
  return fmt::format("{:g} µs", value);
}

std::string percent(double share) { return fmt::format("{:.1f} %", 100 * share); }

std::string count(double value) {
  if (value >= 1e9) return fmt::format("{:.2f} billion", value * 1e-9);
  if (value >= 1e6) return fmt::format("{:.1f} million", value * 1e-6);
  if (value >= 1e4) return fmt::format("{:.1f} thousand", value * 1e-3);
  return fmt::format("{:.0f}", value);
}

std::string tokens(std::int64_t value) { return fmt::format("{} token{}", value, value == 1 ? "" : "s"); }

std::string perplexity(double value) { return std::isfinite(value) ? fmt::format("{:.4g}", value) : "–"; }

std::string size_change(std::uint64_t before, std::uint64_t after) {
  if (before == 0 || after == 0) return "";
  const double change = static_cast<double>(before) / static_cast<double>(after);
  if (change > 0.995 && change < 1.005) return "the same";
  return change >= 1 ? ratio(change) + " smaller" : ratio(1 / change) + " larger";
}

}  // namespace cross::report
