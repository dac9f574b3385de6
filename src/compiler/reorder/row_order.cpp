#include "compiler/reorder/row_order.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numeric>

#include "cross/error.h"

namespace cross::compiler {
namespace {

/// Below this multiple of chance, the differences between rows are no structure.
constexpr double noise_factor = 1.5;
/// Sorting must remove this share of the spread to be worth a permutation.
constexpr double worthwhile_gain = 0.25;

void check(const RowCounts& rows, std::int64_t panel_rows) {
  if (panel_rows < 1) throw InternalError(fmt::format("panels of {} rows", panel_rows));
  if (!rows.signatures.empty() && rows.signatures.size() != rows.nnz.size()) {
    throw InternalError(fmt::format("{} signatures for {} rows", rows.signatures.size(), rows.nnz.size()));
  }
  for (std::size_t r = 0; r < rows.nnz.size(); ++r) {
    if (rows.nnz[r] < 0 || rows.nnz[r] > rows.cols) {
      throw InternalError(fmt::format("row {} of {} columns holds {} nonzeros", r, rows.cols, rows.nnz[r]));
    }
  }
}

double chance_spread(const RowCounts& rows) {
  if (rows.nnz.empty() || rows.cols == 0) return 0.0;
  const auto nnz = static_cast<double>(std::accumulate(rows.nnz.begin(), rows.nnz.end(), std::int64_t{0}));
  const auto cols = static_cast<double>(rows.cols);
  const double density = nnz / (cols * static_cast<double>(rows.nnz.size()));
  return std::sqrt(density * (1.0 - density) / cols);
}

double panel_spread(const RowCounts& rows, std::span<const std::int64_t> order, std::size_t panel_rows) {
  if (order.empty() || rows.cols == 0) return 0.0;
  const auto density = [&](std::int64_t r) {
    return static_cast<double>(rows.nnz[static_cast<std::size_t>(r)]) / static_cast<double>(rows.cols);
  };
  double squares = 0.0;
  for (std::size_t first = 0; first < order.size(); first += std::min(panel_rows, order.size() - first)) {
    const auto panel = order.subspan(first, std::min(panel_rows, order.size() - first));
    double mean = 0.0;
    for (const std::int64_t r : panel) mean += density(r);
    mean /= static_cast<double>(panel.size());
    for (const std::int64_t r : panel) squares += (density(r) - mean) * (density(r) - mean);
  }
  return std::sqrt(squares / static_cast<double>(order.size()));
}

std::vector<std::int64_t> sorted_by_density(const RowCounts& rows, double chance) {
  std::vector<std::int64_t> order(rows.nnz.size());
  std::iota(order.begin(), order.end(), 0);
  // With signatures, rows within one step of chance count as equally dense; without, every nonzero counts.
  const double step = rows.signatures.empty() ? 1.0 : std::max(1.0, chance * static_cast<double>(rows.cols));
  const auto level = [&](std::int64_t r) {
    return static_cast<std::int64_t>(static_cast<double>(rows.nnz[static_cast<std::size_t>(r)]) / step);
  };
  std::stable_sort(order.begin(), order.end(), [&](std::int64_t a, std::int64_t b) {
    if (level(a) != level(b) || rows.signatures.empty()) return level(a) > level(b);
    return rows.signatures[static_cast<std::size_t>(a)] < rows.signatures[static_cast<std::size_t>(b)];
  });
  return order;
}

}  // namespace

RowOrder order_rows(const RowCounts& rows, std::int64_t panel_rows, RowOrderPolicy policy) {
  check(rows, panel_rows);
  std::vector<std::int64_t> natural(rows.nnz.size());
  std::iota(natural.begin(), natural.end(), 0);
  RowOrder result;
  result.spread_chance = chance_spread(rows);
  std::vector<std::int64_t> sorted = sorted_by_density(rows, result.spread_chance);
  result.spread_natural = panel_spread(rows, natural, static_cast<std::size_t>(panel_rows));
  result.spread_sorted = panel_spread(rows, sorted, static_cast<std::size_t>(panel_rows));

  const bool differ = result.spread_natural > noise_factor * result.spread_chance;
  const bool helps = result.spread_sorted <= (1.0 - worthwhile_gain) * result.spread_natural;
  bool sort = differ && helps;
  if (policy == RowOrderPolicy::automatic) {
    const std::string numbers = fmt::format(
        "row density within panels of {} rows spreads {:.1f} points as stored, {:.1f} sorted, {:.1f} by "
        "chance",
        panel_rows, 100.0 * result.spread_natural, 100.0 * result.spread_sorted,
        100.0 * result.spread_chance);
    const char* verdict = !differ ? "rows differ by chance only: kept as stored"
                          : sort  ? "sorted by density"
                                  : "sorting gains too little: kept as stored";
    result.reason = fmt::format("{}: {}", numbers, verdict);
  } else {
    sort = policy == RowOrderPolicy::by_density;
    result.reason = fmt::format("row order {} was asked for", name_of(policy));
  }
  result.chosen = sort ? RowOrderPolicy::by_density : RowOrderPolicy::natural;
  result.permutation = sort ? std::move(sorted) : std::move(natural);
  return result;
}

}  // namespace cross::compiler
