#include "model/tokenizer/pair_merges.h"

#include <algorithm>
#include <bit>
#include <queue>

namespace cross::model {
namespace {

std::uint64_t key_of(std::int32_t left, std::int32_t right) {
  return static_cast<std::uint64_t>(static_cast<std::uint32_t>(left)) << 32 |
         static_cast<std::uint32_t>(right);
}

/// A pair of neighbours that could merge, as it was when it was found.
struct Candidate {
  std::int32_t rank, result;
  std::uint32_t at;  ///< symbol on the left

  bool operator>(const Candidate& other) const {
    return rank != other.rank ? rank > other.rank : at > other.at;
  }
};

/// A symbol of the word; merged ones leave the list.
struct Link {
  std::int32_t id;
  std::int32_t previous, next;  ///< -1: none
};

}  // namespace

PairMerges::PairMerges(const std::vector<Merge>& merges) {
  const std::size_t size = std::bit_ceil(std::max<std::size_t>(2 * merges.size(), 2));
  slots_.resize(size);
  shift_ = 64 - std::countr_zero(size);
  for (std::size_t rank = 0; rank < merges.size(); ++rank) {
    const std::uint64_t pair = key_of(merges[rank].left, merges[rank].right);
    *slot_of(pair) = {pair, static_cast<std::int32_t>(rank), merges[rank].result};
  }
}

PairMerges::Slot* PairMerges::slot_of(std::uint64_t pair) {
  std::size_t at = pair * 0x9E3779B97F4A7C15u >> shift_;
  while (slots_[at].pair != pair && slots_[at].pair != empty) at = (at + 1) & (slots_.size() - 1);
  return &slots_[at];
}

const PairMerges::Slot* PairMerges::find(std::int32_t left, std::int32_t right) const {
  const Slot* slot = const_cast<PairMerges*>(this)->slot_of(key_of(left, right));
  return slot->pair == empty ? nullptr : slot;
}

void PairMerges::apply(std::vector<std::int32_t>& symbols) const {
  if (symbols.size() < 2) return;
  std::vector<Link> links(symbols.size());
  for (std::size_t i = 0; i < links.size(); ++i)
    links[i] = {symbols[i], static_cast<std::int32_t>(i) - 1, static_cast<std::int32_t>(i) + 1};
  links.back().next = -1;

  std::priority_queue<Candidate, std::vector<Candidate>, std::greater<>> candidates;
  const auto consider = [&](std::int32_t left) {
    if (left < 0 || links[static_cast<std::size_t>(left)].next < 0) return;
    const Link& link = links[static_cast<std::size_t>(left)];
    if (const Slot* slot = find(link.id, links[static_cast<std::size_t>(link.next)].id))
      candidates.push({slot->rank, slot->result, static_cast<std::uint32_t>(left)});
  };
  for (std::size_t i = 0; i + 1 < links.size(); ++i) consider(static_cast<std::int32_t>(i));

  constexpr std::int32_t gone = -1;
  while (!candidates.empty()) {
    const Candidate best = candidates.top();
    candidates.pop();
    Link& left = links[best.at];
    if (left.id == gone || left.next < 0) continue;
    Link& right = links[static_cast<std::size_t>(left.next)];
    // What stands there now may be another pair than the one that was found. The reference asks only whether
    // it becomes the same symbol.
    const Slot* slot = find(left.id, right.id);
    if (slot == nullptr || slot->result != best.result) continue;
    left.id = best.result;
    left.next = right.next;
    right.id = gone;
    if (left.next >= 0)
      links[static_cast<std::size_t>(left.next)].previous = static_cast<std::int32_t>(best.at);
    consider(left.previous);
    consider(static_cast<std::int32_t>(best.at));
  }

  symbols.clear();
  for (std::int32_t i = 0; i >= 0; i = links[static_cast<std::size_t>(i)].next)
    symbols.push_back(links[static_cast<std::size_t>(i)].id);
}

}  // namespace cross::model
