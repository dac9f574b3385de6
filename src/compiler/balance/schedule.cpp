#include "compiler/balance/schedule.h"

#include <algorithm>
#include <numeric>
#include <vector>

#include "compiler/balance/workers.h"

namespace cross::compiler {
namespace {

constexpr WorkerPolicy policies[] = {WorkerPolicy::same, WorkerPolicy::paired, WorkerPolicy::longest_first};

/// Tokens of one batch item: two full token tiles, so that a panel's chunk of weights is read from cache the
/// second time, and 512 tokens still make several items to balance with.
constexpr int tile_item_tokens = 128;

/// Items that the runtime handles in one pass (runtime/tiling.h: pass_tokens); later passes repeat the
/// schedule.
constexpr std::int64_t most_items = 4;

std::vector<std::vector<PlanPiece>> schedule_of(const WorkerBalance& balance) {
  std::vector<std::vector<PlanPiece>> schedule(balance.pieces.size());
  for (std::size_t w = 0; w < balance.pieces.size(); ++w)
    for (const WorkPiece& piece : balance.pieces[w])
      schedule[w].push_back({static_cast<int>(piece.item), static_cast<int>(piece.panel)});
  return schedule;
}

/// Empty if there is no load at all.
std::vector<double> over_mean(std::vector<double> loads) {
  const double mean = std::accumulate(loads.begin(), loads.end(), 0.0) / static_cast<double>(loads.size());
  if (!(mean > 0)) return {};
  for (double& load : loads) load /= mean;
  return loads;
}

/// From this many tokens per worker on workers share out tokens: a whole tile each. Fewer read all weights
/// for less than a tile's work.
constexpr std::int64_t own_tokens = 64;

}  // namespace

LayerDecision::Balance schedule_variant(Variant& variant, std::span<const double> panel_ns, int workers,
                                        const std::string& policy) {
  variant.item_tokens = variant.shape == "dot" ? 8 : tile_item_tokens;
  const std::int64_t items = (variant.tokens + variant.item_tokens - 1) / variant.item_tokens;
  variant.scheduled_items =
      variant.shape == "dot" ? 1 : static_cast<int>(std::clamp<std::int64_t>(items, 1, most_items));

  LayerDecision::Balance report;
  report.tokens = variant.tokens;
  double* predicted[] = {&report.same, &report.paired, &report.longest_first};
  double best = 0;
  for (std::size_t i = 0; i < std::size(policies); ++i) {
    const WorkerBalance balance =
        balance_workers(variant.scheduled_items, workers, panel_ns, {policies[i], 1, 0.0});
    *predicted[i] = balance.imbalance;
    if (policies[i] == WorkerPolicy::same) report.before.predicted = over_mean(balance.loads);
    const bool wanted = policy == "auto" || policy == "by_token"
                            ? variant.schedule.empty() || balance.imbalance < best - 1e-3
                            : policy == name_of(policies[i]);
    if (!wanted) continue;
    best = balance.imbalance;
    report.after.predicted = over_mean(balance.loads);
    variant.policy = name_of(policies[i]);
    variant.schedule = schedule_of(balance);
  }
  // Sharing out tokens needs no schedule; the one above serves calls of too few.
  const bool by_token = policy == "by_token" || (policy == "auto" && variant.tokens >= own_tokens * workers);
  if (variant.shape == "tile" && by_token) {
    variant.policy = "by_token";
    report.after.predicted.assign(static_cast<std::size_t>(workers), 1.0);
  }
  return report;
}

std::vector<std::vector<PlanPiece>> schedule_alike(const Variant& variant, std::size_t panels) {
  const std::vector<double> alike(panels, 1.0);
  return schedule_of(balance_workers(variant.scheduled_items, static_cast<int>(variant.schedule.size()),
                                     alike, {WorkerPolicy::same, 1, 0.0}));
}

}  // namespace cross::compiler
