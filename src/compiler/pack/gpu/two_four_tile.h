// What the packers of 2:4 formats share: a group of four columns as two slots, and a tile of groups.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <utility>

#include "compiler/pack/gpu/kept_rows.h"
#include "plan/formats/gpu/two_four.h"

namespace cross::compiler {

/// The kept weights of one group of four columns as two slots.
struct TwoFourGroup {
  std::array<std::uint16_t, 2> value{};
  std::uint32_t nibble = 0;
  int kept = 0;
};

/// @param bits  of four columns, zero where pruned and past the last; the first two kept are taken
inline TwoFourGroup choose_slots(const std::array<std::uint16_t, 4>& bits) {
  TwoFourGroup group;
  std::array<std::uint32_t, 2> at{};
  for (std::uint32_t c = 0; c < 4; ++c) {
    if (bits[c] == 0) continue;
    if (group.kept < 2) {
      at[static_cast<std::size_t>(group.kept)] = c;
      group.value[static_cast<std::size_t>(group.kept)] = bits[c];
    }
    ++group.kept;
  }
  if (group.kept == 0) at = {0, 1};
  if (group.kept == 1) {
    if (at[0] == 3) {
      at = {2, 3};
      std::swap(group.value[0], group.value[1]);
    } else {
      at[1] = at[0] + 1;
    }
  }
  group.nibble = at[0] + 4 * at[1];
  return group;
}

/// W[row, col … col + 3] in the plan's 16 bits; zero past the last column.
inline std::array<std::uint16_t, 4> group_bits(const MatrixView& weight, DType dtype, std::int64_t row,
                                               std::int64_t col) {
  std::array<std::uint16_t, 4> bits{};
  for (std::int64_t c = 0; c < 4 && col + c < weight.cols; ++c)
    bits[static_cast<std::size_t>(c)] = half_bits(weight, dtype, row, col + c);
  return bits;
}

/// Writes a tile of 64 rows and 64 columns. @param bits_of  (row, group of the tile) → its four columns
/// @return the kept weights, also those beyond two of a group, which are not stored
template <class BitsOf>
std::int64_t write_two_four_tile(std::byte* tile, BitsOf bits_of) {
  using namespace formats::gpu;
  std::array<std::uint16_t, two_four_metadata_at / 2> values{};
  std::array<std::uint32_t, (two_four_tile_bytes - two_four_metadata_at) / 4> metadata{};
  std::int64_t kept = 0;
  for (int row = 0; row < two_four_rows; ++row)
    for (int g = 0; g < two_four_groups; ++g) {
      const TwoFourGroup group = choose_slots(bits_of(row, g));
      const auto at = static_cast<std::size_t>(two_four_value_index(row, g));
      values[at] = group.value[0];
      values[at + 1] = group.value[1];
      metadata[static_cast<std::size_t>(two_four_word_index(row, g))] |= group.nibble
                                                                         << two_four_shift(row, g);
      kept += group.kept;
    }
  std::memcpy(tile, values.data(), two_four_metadata_at);
  std::memcpy(tile + two_four_metadata_at, metadata.data(), sizeof metadata);
  return kept;
}

}  // namespace cross::compiler
