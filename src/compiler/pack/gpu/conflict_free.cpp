#include "compiler/pack/gpu/conflict_free.h"

#include <algorithm>

namespace cross::compiler {
namespace {

constexpr int lists = 8;
constexpr int residues = 8;
constexpr int reach = 127;
/// Weights that a list offers at a time: enough that nearly every residue is among them.
constexpr int pool_size = 14;
/// How far ahead of its oldest weight a list may go, so that it can step back to it.
constexpr int stray = 96;

/// The oldest unplaced weights of one list.
class Pool {
 public:
  Pool(const std::vector<KeptWeight>& list, int extent) : list_(&list), extent_(extent) {
    refill();
    column_ = size_ > 0 ? weights_[0].col : 0;
  }

  bool done() const { return size_ == 0; }
  int column() const { return column_; }

  /// offer[r]: the oldest weight (index into the pool) that lies at residue r and can be reached; -1 if none.
  /// Bits of the result: residues on offer.
  int offers(std::array<std::int8_t, residues>& offer) const {
    offer.fill(-1);
    int mask = 0;
    const int limit = std::min(column_ + reach, size_ > 0 ? weights_[0].col + stray : 0);
    for (int i = 0; i < size_ && weights_[i].col <= limit; ++i) {
      const int residue = weights_[i].col % residues;
      if (weights_[i].col < column_ - reach || (mask >> residue & 1) != 0) continue;
      offer[static_cast<std::size_t>(residue)] = static_cast<std::int8_t>(i);
      mask |= 1 << residue;
    }
    return mask;
  }

  ListStep take(int index) {
    const KeptWeight weight = weights_[index];
    std::copy(weights_ + index + 1, weights_ + size_, weights_ + index);
    --size_;
    refill();
    return step_to(weight.col, weight.bits);
  }

  /// A step with value zero to a column of that residue: as far towards the next weight as allowed, or near
  /// by when the list is done.
  ListStep idle(int residue) {
    int target = done() ? column_ : std::min(column_ + reach, weights_[0].col);
    target = target / residues * residues + residue;
    while (target > column_ + reach || target >= extent_) target -= residues;
    if (target < 0 || target < column_ - reach) target = column_;
    return step_to(target, 0);
  }

 private:
  void refill() {
    while (size_ < pool_size && next_ < list_->size()) weights_[size_++] = (*list_)[next_++];
  }
  ListStep step_to(int column, std::uint16_t bits) {
    const ListStep step{static_cast<std::int8_t>(column - column_), bits};
    column_ = column;
    return step;
  }

  const std::vector<KeptWeight>* list_;
  int extent_;
  std::size_t next_ = 0;
  KeptWeight weights_[pool_size];
  int size_ = 0;
  int column_ = 0;
};

/// Bipartite matching of lists and residues.
class Matching {
 public:
  Matching(const std::array<int, lists>& masks) : masks_(masks) {
    list_of_.fill(-1);
    residue_of_.fill(-1);
    // The lists with the least choice first.
    std::array<int, lists> order;
    for (int i = 0; i < lists; ++i) order[static_cast<std::size_t>(i)] = i;
    std::sort(order.begin(), order.end(), [&](int a, int b) {
      const int ca = __builtin_popcount(static_cast<unsigned>(masks[static_cast<std::size_t>(a)]));
      const int cb = __builtin_popcount(static_cast<unsigned>(masks[static_cast<std::size_t>(b)]));
      return ca != cb ? ca < cb : a < b;
    });
    for (const int list : order) {
      int visited = 0;
      augment(list, visited);
    }
  }
  /// -1: the list found no residue of its own.
  int residue_of(int list) const { return residue_of_[static_cast<std::size_t>(list)]; }

 private:
  bool augment(int list, int& visited) {
    for (int r = 0; r < residues; ++r) {
      if ((masks_[static_cast<std::size_t>(list)] >> r & 1) == 0 || (visited >> r & 1) != 0) continue;
      visited |= 1 << r;
      const int holder = list_of_[static_cast<std::size_t>(r)];
      if (holder >= 0 && !augment(holder, visited)) continue;
      list_of_[static_cast<std::size_t>(r)] = list;
      residue_of_[static_cast<std::size_t>(list)] = r;
      return true;
    }
    return false;
  }

  const std::array<int, lists>& masks_;
  std::array<int, residues> list_of_;
  std::array<int, lists> residue_of_;
};

}  // namespace

std::array<std::vector<ListStep>, 8> order_phase(const std::array<std::vector<KeptWeight>, 8>& kept,
                                                 int extent, std::array<std::uint16_t, 8>& start) {
  std::vector<Pool> pools;
  pools.reserve(lists);
  std::array<std::vector<ListStep>, 8> out;
  for (std::size_t i = 0; i < lists; ++i) {
    pools.emplace_back(kept[i], extent);
    start[i] = static_cast<std::uint16_t>(pools[i].column());
    out[i].reserve(kept[i].size() + 4);
  }
  const auto all_done = [&] {
    return std::all_of(pools.begin(), pools.end(), [](const Pool& p) { return p.done(); });
  };
  while (!all_done()) {
    std::array<std::array<std::int8_t, residues>, lists> offer;
    std::array<int, lists> masks;
    std::array<bool, lists> idle;
    for (std::size_t i = 0; i < lists; ++i) {
      masks[i] = pools[i].offers(offer[i]);
      idle[i] = masks[i] == 0;
      if (idle[i]) masks[i] = (1 << residues) - 1;
    }
    const Matching matching(masks);
    for (std::size_t i = 0; i < lists; ++i) {
      const int residue = matching.residue_of(static_cast<int>(i));
      if (idle[i])
        out[i].push_back(pools[i].idle(residue >= 0 ? residue : 0));
      else if (residue >= 0)
        out[i].push_back(pools[i].take(offer[i][static_cast<std::size_t>(residue)]));
      else  // A bank conflict: the oldest weight, so that nothing is left behind.
        out[i].push_back(pools[i].take(
            *std::min_element(offer[i].begin(), offer[i].end(), [](std::int8_t a, std::int8_t b) {
              return static_cast<std::uint8_t>(a) < static_cast<std::uint8_t>(b);
            })));
    }
  }
  return out;
}

}  // namespace cross::compiler
