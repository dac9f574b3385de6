#include "compiler/pack/gpu/delta_lists.h"

#include <algorithm>
#include <span>

#include "compiler/pack/gpu/conflict_free.h"
#include "cross/error.h"

namespace cross::compiler {
namespace {

using namespace formats::gpu;

/// Columns that a nibble moves at most.
constexpr int reach = 16;

std::span<const KeptWeight> quarter(const std::vector<KeptWeight>& row, int q) {
  const std::size_t begin = row.size() * static_cast<std::size_t>(q) / 4;
  const std::size_t end = row.size() * (static_cast<std::size_t>(q) + 1) / 4;
  return std::span(row).subspan(begin, end - begin);
}

/// A row's ascending weights with wide gaps bridged.
std::vector<KeptWeight> forward_walk(const std::vector<KeptWeight>& row) {
  std::vector<KeptWeight> steps;
  steps.reserve(row.size() + row.size() / 8 + 8);
  for (const KeptWeight& weight : row) {
    if (!steps.empty())
      while (weight.col - steps.back().col > reach) steps.push_back({steps.back().col + reach, 0});
    steps.push_back(weight);
  }
  return steps;
}

/// Adds idle steps until the list has `length`: every step must move forward, so they stand in front of the
/// list, behind it, then in its gaps.
void stretch_forward(DeltaList& list, std::size_t length, int filled) {
  std::vector<KeptWeight>& steps = list.steps;
  std::size_t idle = length - steps.size();
  if (idle > 0 && steps.empty()) {
    steps.push_back({0, 0});
    --idle;
  }
  if (idle > 0) {
    const auto lead = std::min(idle, static_cast<std::size_t>(steps.front().col));
    std::vector<KeptWeight> front(lead);
    for (std::size_t i = 0; i < lead; ++i)
      front[i] = {steps.front().col - static_cast<std::int32_t>(lead - i), 0};
    steps.insert(steps.begin(), front.begin(), front.end());
    idle -= lead;
  }
  for (; idle > 0 && steps.back().col + 1 < filled; --idle) steps.push_back({steps.back().col + 1, 0});
  if (idle > 0) {
    std::vector<KeptWeight> dense;
    for (const KeptWeight& step : steps) {
      for (; idle > 0 && !dense.empty() && dense.back().col + 1 < step.col; --idle)
        dense.push_back({dense.back().col + 1, 0});
      dense.push_back(step);
    }
    steps = std::move(dense);
  }
  if (idle > 0) throw InternalError("pack: a list is longer than its slice");
  list.start = static_cast<std::uint16_t>(steps.empty() ? 0 : steps.front().col);
}

void stretch(int bits, DeltaList& list, std::size_t length, int filled) {
  if (bits == 4) return stretch_forward(list, length, filled);
  const std::int32_t last = list.steps.empty() ? list.start : list.steps.back().col;
  list.steps.resize(length, KeptWeight{last, 0});
}

/// delta8: orders the lists of the eight lanes from `lane` on.
void order_eight(const std::array<std::vector<KeptWeight>, delta_tile_rows>& rows, int lane, int filled,
                 DeltaTile& tile) {
  std::array<std::vector<KeptWeight>, 8> eight;
  std::array<std::uint16_t, 8> start{};
  for (int i = 0; i < 8; ++i) {
    const auto weights = quarter(rows[static_cast<std::size_t>(gather_row(lane + i))], gather_list(lane + i));
    eight[static_cast<std::size_t>(i)].assign(weights.begin(), weights.end());
  }
  const auto ordered = order_phase(eight, filled, start);
  for (std::size_t i = 0; i < 8; ++i) {
    DeltaList& list = tile.lists[static_cast<std::size_t>(lane) + i];
    list.start = start[i];
    std::int32_t at = start[i];
    list.steps.reserve(ordered[i].size() + 8);
    for (const ListStep& step : ordered[i]) list.steps.push_back({at += step.delta, step.bits});
  }
}

}  // namespace

std::uint16_t DeltaTile::start(int bits, int lane, std::size_t quad) const {
  const DeltaList& list = lists[static_cast<std::size_t>(lane)];
  if (quad == 0) return list.start;
  return static_cast<std::uint16_t>(list.steps[quad * delta_quad_steps - 1].col + (bits == 4 ? 1 : 0));
}

std::int64_t delta_steps(int bits, const std::vector<KeptWeight>& row) {
  auto steps = static_cast<std::int64_t>(row.size());
  if (bits == 4)
    for (std::size_t i = 1; i < row.size(); ++i) steps += (row[i].col - row[i - 1].col - 1) / reach;
  return steps;
}

DeltaTile make_delta_tile(int bits, const std::array<const std::vector<KeptWeight>*, delta_tile_rows>& rows,
                          int filled) {
  DeltaTile tile;
  if (std::all_of(rows.begin(), rows.end(), [](const auto* row) { return row->empty(); })) return tile;
  if (bits == 4) {
    std::array<std::vector<KeptWeight>, delta_tile_rows> walks;
    for (std::size_t r = 0; r < walks.size(); ++r) walks[r] = forward_walk(*rows[r]);
    for (int lane = 0; lane < delta_lanes; ++lane) {
      const auto steps = quarter(walks[static_cast<std::size_t>(gather_row(lane))], gather_list(lane));
      tile.lists[static_cast<std::size_t>(lane)].steps.assign(steps.begin(), steps.end());
    }
  } else {
    std::array<std::vector<KeptWeight>, delta_tile_rows> placed;
    for (std::size_t r = 0; r < placed.size(); ++r) {
      for (const KeptWeight& w : *rows[r]) placed[r].push_back({gather_position(w.col), w.bits});
      std::sort(placed[r].begin(), placed[r].end(),
                [](const KeptWeight& a, const KeptWeight& b) { return a.col < b.col; });
    }
    for (int lane = 0; lane < delta_lanes; lane += 8) order_eight(placed, lane, filled, tile);
  }
  std::size_t longest = 1;
  for (const DeltaList& list : tile.lists) longest = std::max(longest, list.steps.size());
  extend_delta_tile(bits, tile, (longest + delta_quad_steps - 1) / delta_quad_steps, filled);
  return tile;
}

void extend_delta_tile(int bits, DeltaTile& tile, std::size_t quads, int filled) {
  tile.quads = quads;
  for (DeltaList& list : tile.lists) stretch(bits, list, quads * delta_quad_steps, filled);
}

}  // namespace cross::compiler
