// Inter-batch balance: which worker (SM or thread) computes which row panel of which item of a batch.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace cross::compiler {

/// How panels are given to workers.
///   same           every item alike: panel p goes to worker p mod W, so an imbalance repeats with each item
///   paired         neighbours in the batch use opposite orders: item 2i as `same`, item 2i+1 to worker
///                  W − 1 − p mod W, so that a worker that got a heavy panel gets a light one next (panels
///                  sorted by weight, see row_order.h, gain most)
///   longest_first  all pieces of all items together, the most expensive first, each to the least loaded
///                  worker (LPT); pieces above a worker's fair share are split along K
///
/// A fourth, `by_token`, needs no such assignment: workers share out tokens at run time
/// (balance/schedule.cpp).
enum class WorkerPolicy : std::uint8_t { same, paired, longest_first };

constexpr std::string_view name_of(WorkerPolicy policy) {
  switch (policy) {
    case WorkerPolicy::same:
      return "same";
    case WorkerPolicy::paired:
      return "paired";
    case WorkerPolicy::longest_first:
      return "longest_first";
  }
  return "?";
}

/// One unit of work: part `k_part` of `k_parts` equal parts along K of one row panel, for one item of the
/// batch.
struct WorkPiece {
  std::int64_t item = 0;
  std::int64_t panel = 0;
  int k_part = 0;
  int k_parts = 1;
  double cost = 0.0;

  friend bool operator==(const WorkPiece&, const WorkPiece&) = default;
};

struct WorkerOptions {
  WorkerPolicy policy = WorkerPolicy::longest_first;
  int max_k_parts = 1;      ///< longest_first only: the most parts a panel may be split into
  double split_cost = 0.0;  ///< added to each part of a split panel (its partial sums must be added up)
};

struct WorkerBalance {
  std::vector<std::vector<WorkPiece>> pieces;  ///< per worker, in the order in which it runs them
  std::vector<double> loads;                   ///< per worker, summed cost
  double imbalance = 1.0;                      ///< see below
};

/// imbalance = max over workers of load / mean load; 1.0 when there is no load. A worker without work counts.
double imbalance_of(std::span<const double> loads);

/// Gives every (item, panel) to a worker, or all its parts to workers; panel_costs[p] is the cost of panel p
/// for one item.
///
///     fair share  F = items · Σ_p panel_costs[p] / workers
///     k_parts(p)  = min(max_k_parts, ⌈panel_costs[p] / F⌉)          (longest_first; otherwise 1)
///
/// longest_first keeps max load <= (4/3 − 1/(3·workers)) · the best possible for these pieces (Graham 1969),
/// and a worker's pieces are ordered by (item, panel, k_part) so that neighbours share activations and
/// weights in cache. Ties go to the worker with fewer pieces, then to the lower index. O(P log P) for P
/// pieces. InternalError for workers < 1, items < 0, max_k_parts < 1, and costs that are negative or not
/// finite.
WorkerBalance balance_workers(std::int64_t items, int workers, std::span<const double> panel_costs,
                              const WorkerOptions& options = {});

}  // namespace cross::compiler
