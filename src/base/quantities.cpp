#include "base/quantities.h"

#include <fmt/format.h>

namespace cross::base {

std::string bytes_text(std::uint64_t bytes) {
  const auto value = static_cast<double>(bytes);
  if (value >= 1e9) return fmt::format("{:.2f} GB", value * 1e-9);
  if (value >= 1e6) return fmt::format("{:.2f} MB", value * 1e-6);
  if (value >= 1e4) return fmt::format("{:.1f} kB", value * 1e-3);
  return fmt::format("{} B", bytes);
}

std::string microseconds_text(double us) {
  if (us <= 0) return "-";
  if (us >= 1e4) return fmt::format("{:.2f} ms", us * 1e-3);
  return us < 10 ? fmt::format("{:.2f} us", us) : fmt::format("{:.1f} us", us);
}

std::string percent_text(double share) { return fmt::format("{:.2f} %", 100 * share); }

std::string ratio_text(double ratio) { return ratio > 0 ? fmt::format("{:.2f}x", ratio) : "-"; }

}  // namespace cross::base
