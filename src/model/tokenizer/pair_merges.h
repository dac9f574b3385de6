// The merges of byte-pair encoding.
//
//   while two neighbours are a pair of the table: the pair of the lowest rank, leftmost first, becomes one
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace cross::model {

/// Two symbols that become one. Its rank is its place in the list.
struct Merge {
  std::int32_t left = 0, right = 0, result = 0;
};

/// Const access is thread-safe.
class PairMerges {
 public:
  /// Where a pair stands twice its last rank counts, as for the reference.
  explicit PairMerges(const std::vector<Merge>& merges);

  /// Applies the merges to the symbols of one word: O(n·log n) for n symbols.
  void apply(std::vector<std::int32_t>& symbols) const;

 private:
  struct Slot {
    std::uint64_t pair = empty;
    std::int32_t rank = 0, result = 0;
  };
  static constexpr std::uint64_t empty = ~std::uint64_t{0};

  Slot* slot_of(std::uint64_t pair);
  const Slot* find(std::int32_t left, std::int32_t right) const;

  std::vector<Slot> slots_;  // open addressing; at most half are taken
  int shift_ = 0;
};

}  // namespace cross::model
