#include "compiler/balance/units.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>

#include "cross/error.h"

namespace cross::compiler {
namespace {

/// An improvement smaller than this share is rounding, and following it could go round in circles.
constexpr double rounding = 1e-12;

void check(std::span<const UnitBlock> blocks, const UnitModel& model) {
  if (!(model.dense_slowdown >= 1.0 && model.sparse_slowdown >= 1.0) || std::isinf(model.dense_slowdown) ||
      std::isinf(model.sparse_slowdown)) {
    throw InternalError(fmt::format("slow-downs of {} and {}: neither may be below 1 or infinite",
                                    model.dense_slowdown, model.sparse_slowdown));
  }
  for (std::size_t b = 0; b < blocks.size(); ++b) {
    const UnitBlock& block = blocks[b];
    const bool prices = block.dense_price >= 0.0 && block.sparse_price >= 0.0;
    const bool runs_dense = block.band == Band::sparse || std::isfinite(block.dense_price);
    const bool runs_sparse = block.band == Band::dense || std::isfinite(block.sparse_price);
    if (!prices || !runs_dense || !runs_sparse) {
      throw InternalError(fmt::format("block {} in the {} band cannot have prices {} dense and {} sparse", b,
                                      name_of(block.band), block.dense_price, block.sparse_price));
    }
  }
}

/// An assignment with its loads, and the moves that improve it.
class Assignment {
 public:
  Assignment(std::span<const UnitBlock> blocks, const UnitModel& model, std::vector<Unit> units)
      : blocks_(blocks), model_(model), units_(std::move(units)) {
    sum();
  }

  const std::vector<Unit>& units() const { return units_; }
  double dense_load() const { return dense_; }
  double sparse_load() const { return sparse_; }
  double finish() const { return finish_time(dense_, sparse_, model_); }

  /// Moves and swaps blocks among `movable` until no single move helps and no swap was found within the
  /// limit.
  void improve(std::span<const std::size_t> movable) {
    do {
      while (best_move(movable)) {
      }
    } while (swaps_++ < movable.size() && first_swap(movable));
    while (best_move(movable)) {
    }
  }

 private:
  /// Loads are summed anew after every change, in one order: no drift, and equal assignments have equal
  /// loads.
  void sum() {
    dense_ = sparse_ = 0.0;
    for (std::size_t b = 0; b < blocks_.size(); ++b) {
      if (units_[b] == Unit::dense) {
        dense_ += blocks_[b].dense_price;
      } else {
        sparse_ += blocks_[b].sparse_price;
      }
    }
  }

  struct Loads {
    double dense, sparse;
  };

  Loads moved(Loads loads, std::size_t b) const {
    const UnitBlock& block = blocks_[b];
    const double sign = units_[b] == Unit::dense ? 1.0 : -1.0;
    return {loads.dense - sign * block.dense_price, loads.sparse + sign * block.sparse_price};
  }

  double finish_of(Loads loads) const {
    return finish_time(std::max(loads.dense, 0.0), std::max(loads.sparse, 0.0), model_);
  }

  void flip(std::size_t b) { units_[b] = units_[b] == Unit::dense ? Unit::sparse : Unit::dense; }

  bool best_move(std::span<const std::size_t> movable) {
    const double now = finish();
    double best = now * (1.0 - rounding);
    std::size_t chosen = blocks_.size();
    for (const std::size_t b : movable) {
      const double then = finish_of(moved({dense_, sparse_}, b));
      if (then < best) {
        best = then;
        chosen = b;
      }
    }
    if (chosen == blocks_.size()) return false;
    flip(chosen);
    sum();
    if (finish() < now) return true;
    flip(chosen);  // the gain was rounding after all
    sum();
    return false;
  }

  bool first_swap(std::span<const std::size_t> movable) {
    const double now = finish();
    for (const std::size_t a : movable) {
      if (units_[a] != Unit::dense) continue;
      const Loads without = moved({dense_, sparse_}, a);
      for (const std::size_t b : movable) {
        if (units_[b] != Unit::sparse || finish_of(moved(without, b)) >= now * (1.0 - rounding)) continue;
        flip(a);
        flip(b);
        sum();
        if (finish() < now) return true;
        flip(a);
        flip(b);
        sum();
      }
    }
    return false;
  }

  std::span<const UnitBlock> blocks_;
  UnitModel model_;
  std::vector<Unit> units_;
  double dense_ = 0.0, sparse_ = 0.0;
  std::size_t swaps_ = 0;
};

/// Every block where its band puts it; swing blocks on their cheaper unit.
std::vector<Unit> cheaper_units(std::span<const UnitBlock> blocks) {
  std::vector<Unit> units;
  units.reserve(blocks.size());
  for (const UnitBlock& block : blocks) {
    const bool sparse =
        block.band == Band::sparse || (block.band == Band::swing && block.sparse_price < block.dense_price);
    units.push_back(sparse ? Unit::sparse : Unit::dense);
  }
  return units;
}

double ratio(const UnitBlock& block) {
  if (block.dense_price > 0.0) return block.sparse_price / block.dense_price;
  return block.sparse_price > 0.0 ? std::numeric_limits<double>::infinity() : 0.0;
}

/// Swing blocks in the order in which the sparse unit should take them, cut where the panel finishes first.
std::vector<Unit> best_split(std::span<const UnitBlock> blocks, const UnitModel& model,
                             std::span<const std::size_t> swing, std::vector<Unit> units) {
  std::vector<std::size_t> order(swing.begin(), swing.end());
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return ratio(blocks[a]) < ratio(blocks[b]); });
  for (const std::size_t b : order) units[b] = Unit::dense;
  const Assignment none(blocks, model, units);
  double dense = none.dense_load(), sparse = none.sparse_load(), best = none.finish();
  std::size_t cut = 0;
  for (std::size_t i = 0; i < order.size(); ++i) {
    dense = std::max(dense - blocks[order[i]].dense_price, 0.0);
    sparse += blocks[order[i]].sparse_price;
    if (const double finish = finish_time(dense, sparse, model); finish < best) {
      best = finish;
      cut = i + 1;
    }
  }
  for (std::size_t i = 0; i < cut; ++i) units[order[i]] = Unit::sparse;
  return units;
}

}  // namespace

double finish_time(double dense_load, double sparse_load, const UnitModel& model) {
  if (!model.two_units) return dense_load + sparse_load;
  const double dense_end = dense_load * model.dense_slowdown;
  const double sparse_end = sparse_load * model.sparse_slowdown;
  if (dense_end <= sparse_end) return dense_end + (sparse_load - dense_end / model.sparse_slowdown);
  return sparse_end + (dense_load - sparse_end / model.dense_slowdown);
}

UnitBalance balance_units(std::span<const UnitBlock> blocks, const UnitModel& model) {
  check(blocks, model);
  std::vector<std::size_t> swing, not_dense;
  for (std::size_t b = 0; b < blocks.size(); ++b) {
    if (blocks[b].band == Band::swing) swing.push_back(b);
    if (blocks[b].band != Band::dense) not_dense.push_back(b);
  }

  const std::vector<Unit> start = cheaper_units(blocks);
  Assignment best(blocks, model, start);
  const double start_finish = best.finish();
  const Assignment all_dense(blocks, model, std::vector<Unit>(blocks.size(), Unit::dense));
  bool all_dense_start = false;
  if (model.two_units) {
    best.improve(swing);
    Assignment split(blocks, model, best_split(blocks, model, swing, start));
    split.improve(swing);
    if (split.finish() < best.finish()) best = Assignment(blocks, model, split.units());
  }
  if (best.finish() > all_dense.finish()) {
    best = Assignment(blocks, model, all_dense.units());
    best.improve(not_dense);
    all_dense_start = true;
  }

  UnitBalance result;
  result.units = best.units();
  result.dense_load = best.dense_load();
  result.sparse_load = best.sparse_load();
  result.finish = best.finish();
  result.start_finish = start_finish;
  result.all_dense = all_dense.finish();
  result.all_dense_start = all_dense_start;
  for (std::size_t b = 0; b < blocks.size(); ++b) result.moved += result.units[b] != start[b];
  return result;
}

}  // namespace cross::compiler
