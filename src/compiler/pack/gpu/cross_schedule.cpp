#include "compiler/pack/gpu/cross_schedule.h"

#include <algorithm>
#include <cmath>

#include "compiler/balance/workers.h"
#include "cross/error.h"

namespace cross::compiler {
namespace {

using namespace formats::gpu;
using Policy = CrossPanelsOptions::Policy;

/// A launch has 1024 counters for tiles of several pieces (kernels/cuda/gpu_kernel.h), one a share.
constexpr std::size_t most_counters = 1024 / cross_shares;
/// Parts below this many clocks cost more in partial sums than evenness gains.
constexpr double least_part = 4000.0;
constexpr int most_parts = 64;

/// A range of one (token tile, panel), in fractions of its lists.
struct Cut {
  int tile = 0;
  std::size_t panel = 0;
  double begin = 0.0, end = 1.0;
};

std::uint32_t index_at(double fraction, std::uint32_t count) {
  return static_cast<std::uint32_t>(std::lround(fraction * count));
}

/// Gives every worker a contiguous range of all panels and token tiles, each as heavy as the others'; cuts
/// that would leave a sliver move to the end of the tile.
std::vector<std::vector<Cut>> cut_evenly(int tiles, int workers, std::span<const CrossPanelLoad> panels,
                                         double piece_clocks) {
  double total = 0.0;
  for (const CrossPanelLoad& panel : panels) total += tiles * (panel.clocks + piece_clocks);
  const int used = std::clamp(static_cast<int>(total / (least_part + piece_clocks)), 1, workers);
  const double share = total / used;
  std::vector<std::vector<Cut>> result(static_cast<std::size_t>(workers));
  std::size_t worker = 0;
  double filled = 0.0;
  const auto next = [&] {
    if (worker + 1 < static_cast<std::size_t>(used)) ++worker;
    filled = 0.0;
  };
  for (std::size_t p = 0; p < panels.size(); ++p)
    for (int tile = 0; tile < tiles; ++tile) {
      const double clocks = panels[p].clocks + piece_clocks;
      double begin = 0.0;
      while (true) {
        const bool last_worker = worker + 1 == static_cast<std::size_t>(used);
        const double left = (1.0 - begin) * clocks, room = share - filled;
        if (last_worker || left <= room + least_part) {
          result[worker].push_back({tile, p, begin, 1.0});
          filled += left;
          if (filled >= share - least_part) next();
          break;
        }
        if (room < least_part) {
          next();
          continue;
        }
        const double end = begin + room / clocks;
        result[worker].push_back({tile, p, begin, end});
        begin = end;
        next();
      }
    }
  return result;
}

std::vector<std::vector<Cut>> cut_by_policy(int tiles, int workers, std::span<const CrossPanelLoad> panels,
                                            WorkerPolicy policy, double piece_clocks) {
  std::vector<double> costs;
  double largest = 0.0;
  for (const CrossPanelLoad& panel : panels) {
    costs.push_back(panel.clocks + piece_clocks);
    largest = std::max(largest, panel.clocks);
  }
  const std::size_t all = panels.size() * static_cast<std::size_t>(tiles);
  WorkerOptions options;
  options.policy = policy;
  options.max_k_parts =
      all < most_counters ? std::clamp(static_cast<int>(largest / least_part), 1, most_parts) : 1;
  options.split_cost = piece_clocks;
  const WorkerBalance balance = balance_workers(tiles, workers, costs, options);
  std::vector<std::vector<Cut>> result;
  for (const auto& pieces : balance.pieces) {
    result.emplace_back();
    for (const WorkPiece& piece : pieces)
      result.back().push_back({static_cast<int>(piece.item), static_cast<std::size_t>(piece.panel),
                               static_cast<double>(piece.k_part) / piece.k_parts,
                               static_cast<double>(piece.k_part + 1) / piece.k_parts});
  }
  return result;
}

CrossDeal deal_from(const std::vector<std::vector<Cut>>& cuts, int tiles,
                    std::span<const CrossPanelLoad> panels, CrossPolicy policy, double piece_clocks) {
  CrossDeal deal;
  deal.schedule.policy = static_cast<std::uint32_t>(policy);
  deal.workers.resize(cuts.size());
  struct Place {
    double begin;
    std::size_t worker, index;
  };
  std::vector<std::vector<Place>> parts(panels.size() * static_cast<std::size_t>(tiles));
  for (std::size_t w = 0; w < cuts.size(); ++w)
    for (const Cut& cut : cuts[w]) {
      const CrossPanelLoad& panel = panels[cut.panel];
      CrossPiece piece;
      piece.tile = static_cast<std::uint16_t>(cut.tile);
      piece.panel = static_cast<std::uint32_t>(cut.panel);
      piece.first_step = panel.first_step + index_at(cut.begin, panel.steps);
      piece.steps = panel.first_step + index_at(cut.end, panel.steps) - piece.first_step;
      for (int share = 0; share < cross_shares; ++share) {
        piece.first_chunk[share] = panel.first_chunk[share] + index_at(cut.begin, panel.chunks[share]);
        piece.chunks[share] =
            panel.first_chunk[share] + index_at(cut.end, panel.chunks[share]) - piece.first_chunk[share];
      }
      parts[cut.panel * static_cast<std::size_t>(tiles) + static_cast<std::size_t>(cut.tile)].push_back(
          {cut.begin, w, deal.workers[w].size()});
      deal.workers[w].push_back(piece);
    }
  for (auto& places : parts) {
    std::sort(places.begin(), places.end(), [](const Place& a, const Place& b) { return a.begin < b.begin; });
    for (std::size_t i = 0; i < places.size(); ++i) {
      CrossPiece& piece = deal.workers[places[i].worker][places[i].index];
      piece.part = static_cast<std::uint16_t>(i);
      piece.parts = static_cast<std::uint16_t>(places.size());
      if (places.size() == 1) continue;
      piece.counter = static_cast<std::uint16_t>(deal.schedule.counters);
      piece.first_slot = deal.schedule.slots;
    }
    if (places.size() == 1) continue;
    ++deal.schedule.counters;
    deal.schedule.slots += static_cast<std::uint32_t>(places.size());
  }
  double total = 0.0;
  for (const auto& pieces : cuts) {
    double load = 0.0;
    for (const Cut& cut : pieces) load += (cut.end - cut.begin) * panels[cut.panel].clocks + piece_clocks;
    total += load;
    deal.clocks = std::max(deal.clocks, load);
  }
  deal.imbalance = total > 0 ? deal.clocks * static_cast<double>(cuts.size()) / total : 1.0;
  return deal;
}

}  // namespace

CrossDeal deal_cross_panels(int tiles, int workers, std::span<const CrossPanelLoad> panels, Policy policy,
                            double piece_clocks) {
  const auto by = [&](Policy one) {
    const auto cuts = one == Policy::even_cut ? cut_evenly(tiles, workers, panels, piece_clocks)
                      : one == Policy::same
                          ? cut_by_policy(tiles, workers, panels, WorkerPolicy::same, piece_clocks)
                      : one == Policy::paired
                          ? cut_by_policy(tiles, workers, panels, WorkerPolicy::paired, piece_clocks)
                          : cut_by_policy(tiles, workers, panels, WorkerPolicy::longest_first, piece_clocks);
    const CrossPolicy stored = one == Policy::same            ? CrossPolicy::same
                               : one == Policy::paired        ? CrossPolicy::paired
                               : one == Policy::longest_first ? CrossPolicy::longest_first
                                                              : CrossPolicy::even_cut;
    return deal_from(cuts, tiles, panels, stored, piece_clocks);
  };
  if (policy != Policy::automatic) return by(policy);
  CrossDeal best = by(Policy::even_cut);
  if (CrossDeal other = by(Policy::longest_first);
      other.schedule.counters <= most_counters && other.clocks < 0.98 * best.clocks)
    best = std::move(other);
  return best;
}

}  // namespace cross::compiler
