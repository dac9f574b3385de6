#include "compiler/balance/workers.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <functional>
#include <numeric>
#include <queue>
#include <tuple>

#include "cross/error.h"

namespace cross::compiler {
namespace {

bool is_cost(double value) { return value >= 0.0 && std::isfinite(value); }

void check(std::int64_t items, int workers, std::span<const double> panel_costs,
           const WorkerOptions& options) {
  if (workers < 1 || items < 0 || options.max_k_parts < 1 || !is_cost(options.split_cost)) {
    throw InternalError(fmt::format("cannot balance {} items over {} workers with up to {} parts at {} each",
                                    items, workers, options.max_k_parts, options.split_cost));
  }
  for (std::size_t p = 0; p < panel_costs.size(); ++p) {
    if (!is_cost(panel_costs[p])) throw InternalError(fmt::format("panel {} costs {}", p, panel_costs[p]));
  }
}

/// Pieces in (item, panel, k_part) order.
std::vector<WorkPiece> all_pieces(std::int64_t items, int workers, std::span<const double> panel_costs,
                                  const WorkerOptions& options) {
  const double total =
      static_cast<double>(items) * std::accumulate(panel_costs.begin(), panel_costs.end(), 0.0);
  const double fair_share = total / workers;
  std::vector<WorkPiece> pieces;
  pieces.reserve(static_cast<std::size_t>(items) * panel_costs.size());
  for (std::int64_t item = 0; item < items; ++item) {
    for (std::size_t p = 0; p < panel_costs.size(); ++p) {
      int parts = 1;
      if (options.policy == WorkerPolicy::longest_first && panel_costs[p] > fair_share) {
        parts = static_cast<int>(
            std::min(static_cast<double>(options.max_k_parts), std::ceil(panel_costs[p] / fair_share)));
      }
      const double cost = panel_costs[p] / parts + (parts > 1 ? options.split_cost : 0.0);
      for (int part = 0; part < parts; ++part) {
        pieces.push_back({item, static_cast<std::int64_t>(p), part, parts, cost});
      }
    }
  }
  return pieces;
}

void assign_by_order(std::span<const WorkPiece> pieces, bool paired, WorkerBalance& result) {
  const std::int64_t workers = std::ssize(result.pieces);
  for (const WorkPiece& piece : pieces) {
    std::int64_t worker = piece.panel % workers;
    if (paired && piece.item % 2 == 1) worker = workers - 1 - worker;
    result.pieces[static_cast<std::size_t>(worker)].push_back(piece);
  }
}

void assign_longest_first(std::vector<WorkPiece> pieces, WorkerBalance& result) {
  // Pieces come in (item, panel, k_part) order, which a stable sort keeps among equal costs.
  std::stable_sort(pieces.begin(), pieces.end(),
                   [](const WorkPiece& a, const WorkPiece& b) { return a.cost > b.cost; });
  using Worker = std::tuple<double, std::size_t, std::size_t>;  // load, pieces, index
  std::priority_queue<Worker, std::vector<Worker>, std::greater<>> least_loaded;
  for (std::size_t w = 0; w < result.pieces.size(); ++w) least_loaded.emplace(0.0, 0, w);
  for (const WorkPiece& piece : pieces) {
    const auto [load, count, worker] = least_loaded.top();
    least_loaded.pop();
    result.pieces[worker].push_back(piece);
    least_loaded.emplace(load + piece.cost, count + 1, worker);
  }
  for (auto& mine : result.pieces) {
    std::sort(mine.begin(), mine.end(), [](const WorkPiece& a, const WorkPiece& b) {
      return std::tie(a.item, a.panel, a.k_part) < std::tie(b.item, b.panel, b.k_part);
    });
  }
}

}  // namespace

double imbalance_of(std::span<const double> loads) {
  const double total = std::accumulate(loads.begin(), loads.end(), 0.0);
  if (!(total > 0.0)) return 1.0;
  return *std::max_element(loads.begin(), loads.end()) * static_cast<double>(loads.size()) / total;
}

WorkerBalance balance_workers(std::int64_t items, int workers, std::span<const double> panel_costs,
                              const WorkerOptions& options) {
  check(items, workers, panel_costs, options);
  WorkerBalance result;
  result.pieces.resize(static_cast<std::size_t>(workers));
  std::vector<WorkPiece> pieces = all_pieces(items, workers, panel_costs, options);
  switch (options.policy) {
    case WorkerPolicy::same:
      assign_by_order(pieces, false, result);
      break;
    case WorkerPolicy::paired:
      assign_by_order(pieces, true, result);
      break;
    case WorkerPolicy::longest_first:
      assign_longest_first(std::move(pieces), result);
      break;
  }
  result.loads.reserve(result.pieces.size());
  for (const auto& mine : result.pieces) {
    double load = 0.0;
    for (const WorkPiece& piece : mine) load += piece.cost;
    result.loads.push_back(load);
  }
  result.imbalance = imbalance_of(result.loads);
  return result;
}

}  // namespace cross::compiler
