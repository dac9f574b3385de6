// Reading the tiles of 2:4 formats, for checks and decoders.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "plan/formats/gpu/blob.h"
#include "plan/formats/gpu/two_four.h"

namespace cross::formats::gpu {

/// Panels of 64 rows of tiles of 64 columns, one behind the other.
struct TwoFourTiles {
  std::span<const std::byte> blob;
  std::int64_t panels, k_tiles;
  std::uint64_t offset;

  std::uint64_t at(std::int64_t panel, std::int64_t k_tile) const {
    return offset + static_cast<std::uint64_t>(panel * k_tiles + k_tile) * two_four_tile_bytes;
  }
  /// Calls f(column of the group, bits) for both slots of a group, zeros included.
  template <class F>
  void for_each_slot(std::int64_t panel, std::int64_t k_tile, int row, int group, F f) const {
    const std::uint64_t tile = at(panel, k_tile);
    const auto word = element<std::uint32_t>(blob, tile + two_four_metadata_at,
                                             static_cast<std::uint64_t>(two_four_word_index(row, group)));
    for (int slot = 0; slot < 2; ++slot)
      f(static_cast<int>(word >> (two_four_shift(row, group) + 2 * slot) & 3u),
        element<std::uint16_t>(blob, tile,
                               static_cast<std::uint64_t>(two_four_value_index(row, group) + slot)));
  }
  /// Calls f(row, col, bits) for every nonzero value of a tile, filling included.
  template <class F>
  void for_each_value(std::int64_t panel, std::int64_t k_tile, F f) const {
    for (int row = 0; row < two_four_rows; ++row)
      for (int group = 0; group < two_four_groups; ++group)
        for_each_slot(panel, k_tile, row, group, [&](int column, std::uint16_t bits) {
          if (bits != 0) f(panel * two_four_rows + row, k_tile * two_four_cols + 4 * group + column, bits);
        });
  }
  /// The same of all tiles.
  template <class F>
  void for_each_value(F f) const {
    for (std::int64_t panel = 0; panel < panels; ++panel)
      for (std::int64_t k_tile = 0; k_tile < k_tiles; ++k_tile) for_each_value(panel, k_tile, f);
  }
  /// Empty if the tiles lie in the blob, their columns ascend and every weight lies in rows x cols.
  std::string check(std::int64_t rows, std::int64_t cols) const;
};

/// Whether the two columns that each of a metadata word's eight nibbles names ascend.
constexpr bool names_ascend(std::uint32_t word) {
  const std::uint32_t i0_low = word, i0_high = word >> 1, i1_low = word >> 2, i1_high = word >> 3;
  return (((~i0_high & i1_high) | (~(i0_high ^ i1_high) & ~i0_low & i1_low)) & 0x11111111u) == 0x11111111u;
}

}  // namespace cross::formats::gpu
