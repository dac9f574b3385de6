#include "compiler/pack/gpu/lift_columns.h"

#include <algorithm>
#include <bit>

namespace cross::compiler {
namespace {

using namespace formats::gpu;

constexpr int rows = lifted_tile_rows;
using Masks = std::array<std::uint8_t, rows>;  ///< a bit for each kept column of a row's group

/// The fewest columns that must go so that every row keeps at most two of those that stay. Two always
/// suffice.
unsigned columns_to_lift(const Masks& masks) {
  // By how many columns they are, then by value.
  static constexpr std::array<unsigned, 11> sets = {0, 1, 2, 4, 8, 3, 5, 6, 9, 10, 12};
  std::array<bool, 16> occurs{};
  for (const std::uint8_t mask : masks) occurs[mask] = true;
  const auto leaves_two = [&](unsigned set) {
    for (unsigned mask = 0; mask < 16; ++mask)
      if (occurs[mask] && std::popcount(mask & ~set) > 2) return false;
    return true;
  };
  return *std::find_if(sets.begin(), sets.end(), leaves_two);
}

}  // namespace

std::vector<LiftedColumn> lift_columns(std::span<std::uint16_t> bits, std::int64_t stride) {
  std::vector<LiftedColumn> lifted;
  Masks masks;
  for (std::int64_t col = 0; col < stride; col += 4) {
    bool conflicts = false;
    for (int row = 0; row < rows; ++row) {
      unsigned mask = 0;
      for (unsigned c = 0; c < 4; ++c)
        mask |= (bits[static_cast<std::size_t>(row * stride + col + c)] != 0 ? 1u : 0u) << c;
      masks[static_cast<std::size_t>(row)] = static_cast<std::uint8_t>(mask);
      conflicts = conflicts || std::popcount(mask) > 2;
    }
    if (!conflicts) continue;
    const unsigned set = columns_to_lift(masks);
    for (unsigned c = 0; c < 4; ++c) {
      if ((set >> c & 1u) == 0) continue;
      LiftedColumn column{static_cast<std::uint32_t>(col) + c, {}};
      for (int row = 0; row < rows; ++row) {
        std::uint8_t& mask = masks[static_cast<std::size_t>(row)];
        if (std::popcount(mask) <= 2 || (mask >> c & 1u) == 0) continue;
        mask = static_cast<std::uint8_t>(mask & ~(1u << c));
        std::uint16_t& weight = bits[static_cast<std::size_t>(row * stride + col + c)];
        column.weights.emplace_back(row, weight);
        weight = 0;
      }
      if (!column.weights.empty()) lifted.push_back(std::move(column));
    }
  }
  return lifted;
}

std::vector<LiftedPlaces> place_columns(const std::vector<LiftedColumn>& columns) {
  std::vector<LiftedPlaces> stages;
  int used = two_four_cols;  // places of the last stage
  std::array<int, rows> in_group{};
  for (const LiftedColumn& lifted : columns) {
    const auto full = [&](const auto& w) { return in_group[static_cast<std::size_t>(w.first)] == 2; };
    if (used % 4 != 0 && std::any_of(lifted.weights.begin(), lifted.weights.end(), full))
      used = (used + 3) / 4 * 4;
    if (used % 4 == 0) in_group.fill(0);
    if (used == two_four_cols) {
      stages.push_back({{}, std::vector<std::uint16_t>(static_cast<std::size_t>(rows * two_four_cols))});
      used = 0;
    }
    LiftedPlaces& stage = stages.back();
    std::fill(stage.column.begin() + used, stage.column.end(), lifted.column);
    for (const auto& [row, bits] : lifted.weights) {
      ++in_group[static_cast<std::size_t>(row)];
      stage.bits[static_cast<std::size_t>(row * two_four_cols + used)] = bits;
    }
    ++used;
  }
  return stages;
}

}  // namespace cross::compiler
