// Format gather8: per kept weight a 16-bit value and a signed 8-bit column step, in the order in which sparse
// tensor cores consume them. docs/gpu.md tells why.
//
// Rows are sorted by their kept weights and taken eight at a time: a *tile*. A *step* of a tile multiplies 32
// weights, four of each row, with 32 gathered rows of X:
//
//     lane l of a warp stands at one column of row 4 (l / 16) + l mod 4; a step moves it by delta[l].
//     mma.sp m16n8k32: k-slot l holds the row of X that lane l stands at; row g of A is zero but for one slot
//     in each of four groups, g mod 4 in the groups 4 (g / 4) … + 3, which is a legal 2:4 pattern. So each of
//     the 32 lanes of A holds exactly one of the step's weights: lane 4 g + q the one of list q of row g.
//
// The four lists of a row are quarters of its kept weights. Their order inside a list is free within the
// reach of a step and chosen so that the eight lanes of a shared-memory phase (8i … 8i + 7) stand at
// positions that differ modulo 8: no bank conflict. Steps with value zero fill short lists and bridge gaps of
// more than 127 positions.
//
// Rows of X lie in shared memory at *positions*: inside eights of columns permuted (gather8_position), so
// that storing X there has no bank conflicts either. Lists and deltas count positions.
//
// K is cut into `k_groups` ranges so that a range of X fits into shared memory; CTA (part, group) works on
// the tiles of `part` in that range. A CTA's tiles lie one after the other as *entries*; its warps share its
// blocks evenly, so that an entry may belong to several warps.
//
//   block   i8 delta[32][4] (lane-major: one 32-bit word a lane) ·
//           u16 value[32][4] (lane 4 g + q of A, step)                                                   384
//           bytes
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "plan/formats/gpu/packed.h"

namespace cross::formats::gpu {

inline constexpr int gather8_tile_rows = 8;
inline constexpr int gather8_block_steps = 4;
inline constexpr int gather8_block_bytes = 384;
inline constexpr int gather8_lanes = 32;
/// Bytes of a block before its values.
inline constexpr int gather8_values_at = gather8_lanes * gather8_block_steps;
/// Warps of a CTA.
inline constexpr int gather8_warps = 16;
/// CTAs that a launch can describe in its parameters.
inline constexpr int gather8_max_ctas = 256;

struct Gather8Header : BlobHeader {
  std::int32_t parts = 0;  ///< groups of row tiles; CTA = part · k_groups + group
  std::int32_t k_groups = 0;
  std::int32_t k_extent = 0;  ///< columns of a K range (the last may be shorter), a multiple of 8
  std::int32_t tiles = 0;
  std::uint32_t entries = 0;
  std::uint32_t blocks = 0;
  // Offsets of the arrays from the start of the blob, multiples of 128.
  std::uint64_t cta_block = 0;   ///< u32[ctas + 1]
  std::uint64_t cta_entry = 0;   ///< u32[ctas + 1]
  std::uint64_t entry_end = 0;   ///< u32[entries]: block after the last
  std::uint64_t entry_rows = 0;  ///< i32[entries][8]: row of W, or -1
  std::uint64_t entry_starts =
      0;  ///< u16[entries][32]: positions before the first step, relative to the K range
  std::uint64_t warp_entry = 0;   ///< u32[ctas · 16]: entry of the warp's first block
  std::uint64_t warp_starts = 0;  ///< u16[ctas · 16][32]: positions before the warp's first step
  std::uint64_t stream = 0;       ///< blocks
};

/// First block of warp `w` when `count` blocks are shared by the warps of a CTA.
constexpr std::uint32_t gather8_warp_begin(std::uint32_t count, int w) {
  return static_cast<std::uint32_t>(static_cast<std::uint64_t>(count) * static_cast<std::uint64_t>(w) /
                                    gather8_warps);
}

/// Position of a column inside its K range, and back: the same permutation.
constexpr int gather8_position(int column) { return (column & ~7) | ((column ^ (column >> 3)) & 7); }

/// Row of the tile that gathering lane `lane` serves, and which of the row's four lists it follows.
constexpr int gather8_row(int lane) { return 4 * (lane >> 4) + (lane & 3); }
constexpr int gather8_list(int lane) { return (lane >> 2) & 3; }
/// Index of that lane's value in a block's values.
constexpr int gather8_value_index(int lane, int step) {
  return (4 * gather8_row(lane) + gather8_list(lane)) * gather8_block_steps + step;
}

std::string check_gather8(std::span<const std::byte> blob, std::int64_t rows, std::int64_t cols);
void decode_gather8(std::span<const std::byte> blob, const Visitor& visit);

}  // namespace cross::formats::gpu
