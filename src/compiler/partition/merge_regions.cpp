#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "compiler/partition/partition.h"
#include "cross/error.h"

namespace cross::compiler {
namespace {

void check(const PanelPrices& panel, double switch_cost) {
  if (panel.blocks < 0 || std::ssize(panel.prices) != panel.blocks * std::ssize(panel.choices)) {
    throw InternalError(fmt::format("panel of {} blocks and {} choices holds {} prices", panel.blocks,
                                    panel.choices.size(), panel.prices.size()));
  }
  if (!(switch_cost >= 0.0)) throw InternalError(fmt::format("switch cost {} is not a price", switch_cost));
  if (std::any_of(panel.prices.begin(), panel.prices.end(), [](double price) { return !(price >= 0.0); })) {
    throw InternalError("a panel's price is negative or NaN");
  }
}

/// Cheapest choice that ends the blocks seen so far; the first one wins ties.
std::size_t cheapest(std::span<const double> totals) {
  return static_cast<std::size_t>(std::min_element(totals.begin(), totals.end()) - totals.begin());
}

}  // namespace

PanelPrices panel_prices(const PriceGrid& grid, std::int64_t row) {
  if (row < 0 || row >= grid.rows) throw InternalError(fmt::format("row panel {} of {}", row, grid.rows));
  PanelPrices panel;
  panel.blocks = grid.cols;
  panel.choices.push_back(dense_choice);
  for (int candidate = 0; candidate < grid.candidates; ++candidate) panel.choices.push_back(candidate);
  panel.choices.push_back(skip_choice);
  panel.prices.reserve(static_cast<std::size_t>(grid.cols) * panel.choices.size());
  const auto candidates = static_cast<std::size_t>(grid.candidates);
  for (std::int64_t col = 0; col < grid.cols; ++col) {
    const auto at = static_cast<std::size_t>(row * grid.cols + col);
    panel.prices.push_back(grid.dense.at(at));
    for (std::size_t c = 0; c < candidates; ++c) panel.prices.push_back(grid.sparse.at(at * candidates + c));
    panel.prices.push_back(grid.nnz.at(at) == 0 ? 0.0 : not_available);
  }
  return panel;
}

PanelSegments merge_regions(const PanelPrices& panel, double switch_cost) {
  check(panel, switch_cost);
  const std::size_t choices = panel.choices.size();
  const auto blocks = static_cast<std::size_t>(panel.blocks);
  if (blocks == 0) return {};
  if (choices == 0) throw InternalError("a panel without kernels to choose from");

  // totals[c]: the cheapest way through blocks 0..b that ends with choice c. came_from[b][c]: the choice of
  // block b − 1 on that way.
  std::vector<double> totals(panel.prices.begin(),
                             panel.prices.begin() + static_cast<std::ptrdiff_t>(choices));
  std::vector<std::size_t> came_from(blocks * choices);
  for (std::size_t b = 0; b < blocks; ++b) {
    if (b > 0) {
      const std::size_t best = cheapest(totals);
      const double change = totals[best] + switch_cost;
      for (std::size_t c = 0; c < choices; ++c) {
        const bool stay = totals[c] <= change;
        came_from[b * choices + c] = stay ? c : best;
        totals[c] = (stay ? totals[c] : change) + panel.prices[b * choices + c];
      }
    }
    if (std::isinf(totals[cheapest(totals)])) {
      throw InternalError(fmt::format("block {} of a panel has no kernel that can run it", b));
    }
  }

  PanelSegments result;
  std::size_t choice = cheapest(totals);
  result.price = totals[choice];
  for (std::size_t b = blocks; b-- > 0;) {
    const int chosen = panel.choices[choice];
    const auto at = static_cast<std::int64_t>(b);
    if (result.segments.empty() || result.segments.back().choice != chosen) {
      result.segments.push_back({at, at + 1, chosen, 0.0});
    }
    result.segments.back().first = at;
    result.segments.back().price += panel.prices[b * choices + choice];
    if (b > 0) choice = came_from[b * choices + choice];
  }
  std::reverse(result.segments.begin(), result.segments.end());
  return result;
}

}  // namespace cross::compiler
