// The lists of a tile of formats delta4 and delta8: which position each lane visits in every step.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "compiler/pack/gpu/kept_rows.h"
#include "plan/formats/gpu/delta.h"

namespace cross::compiler {

/// A lane's steps: where each goes and its value; bits 0 only moves.
struct DeltaList {
  std::uint16_t start = 0;  ///< as in DeltaDirectory::piece_start, for a piece that begins with the list
  std::vector<KeptWeight> steps;  ///< col is the position
};

/// One tile in one slice: 32 lists by gathering lane, all of 4 · quads steps.
struct DeltaTile {
  std::array<DeltaList, formats::gpu::delta_lanes> lists;
  std::size_t quads = 0;

  /// Value for piece_start when a piece begins with quad `quad`.
  std::uint16_t start(int bits, int lane, std::size_t quad) const;
};

/// Steps that a row takes in all its lists, bridges of delta4 included, before lists are made even.
std::int64_t delta_steps(int bits, const std::vector<KeptWeight>& row);

/// @param rows    the tile's rows: kept weights inside the slice, columns relative to it, ascending
/// @param filled  columns of the slice rounded up to eight: where steps may stand
DeltaTile make_delta_tile(
    int bits, const std::array<const std::vector<KeptWeight>*, formats::gpu::delta_tile_rows>& rows,
    int filled);

/// Makes the tile longer by steps of value zero.
void extend_delta_tile(int bits, DeltaTile& tile, std::size_t quads, int filled);

}  // namespace cross::compiler
