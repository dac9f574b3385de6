// two_four_overflow: which weights of a row tile leave their groups of four, and where they go.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "plan/formats/gpu/two_four_overflow.h"

namespace cross::compiler {

/// A column of a row tile and the weights that leave it.
struct LiftedColumn {
  std::uint32_t column = 0;
  std::vector<std::pair<int, std::uint16_t>> weights;  ///< (row of the tile, bits)
};

/// Makes a row tile 2:4: of every group of four columns that some row keeps more than two of, lifts the
/// fewest columns that leave two to every row, and of these the weights of such rows only.
/// @param bits  [128][stride] its weights, stride a multiple of 4; lifted ones become zero
std::vector<LiftedColumn> lift_columns(std::span<std::uint16_t> bits, std::int64_t stride);

/// A further stage.
struct LiftedPlaces {
  std::array<std::uint32_t, formats::gpu::two_four_cols> column{};
  std::vector<std::uint16_t> bits;  ///< [128 rows][64 places]
};

/// Gives a row tile's lifted columns their places, in groups of four of which no row has more than two
/// weights.
std::vector<LiftedPlaces> place_columns(const std::vector<LiftedColumn>& columns);

}  // namespace cross::compiler
