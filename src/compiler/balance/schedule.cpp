#include "compiler/balance/schedule.h"

#include <algorithm>
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

}  // namespace

LayerDecision::Balance schedule_variant(Variant& variant, std::span<const double> panel_ns, int workers,
                                        const std::string& policy) {
  variant.item_tokens = variant.shape == "dot" ? 8 : tile_item_tokens;
  const std::int64_t items = (variant.tokens + variant.item_tokens - 1) / variant.item_tokens;
  variant.scheduled_items =
      variant.shape == "dot" ? 1 : static_cast<int>(std::clamp<std::int64_t>(items, 1, most_items));

  LayerDecision::Balance report{variant.tokens, 1, 1, 1, 0};
  double* predicted[] = {&report.same, &report.paired, &report.longest_first};
  double best = 0;
  for (std::size_t i = 0; i < std::size(policies); ++i) {
    const WorkerBalance balance =
        balance_workers(variant.scheduled_items, workers, panel_ns, {policies[i], 1, 0.0});
    *predicted[i] = balance.imbalance;
    const bool wanted = policy == "auto" ? variant.schedule.empty() || balance.imbalance < best - 1e-3
                                         : policy == name_of(policies[i]);
    if (!wanted) continue;
    best = balance.imbalance;
    variant.policy = name_of(policies[i]);
    variant.schedule.assign(static_cast<std::size_t>(workers), {});
    for (std::size_t w = 0; w < balance.pieces.size(); ++w)
      for (const WorkPiece& piece : balance.pieces[w])
        variant.schedule[w].push_back({static_cast<int>(piece.item), static_cast<int>(piece.panel)});
  }
  return report;
}

}  // namespace cross::compiler
