// Format two_four: matrices whose every group of 4 neighbouring columns (4j … 4j + 3) keeps at most 2
// weights, stored as sparse tensor cores take them from shared memory (wgmma.sp), in an order that registers
// of mma.sp can take too. docs/gpu/two_four.md tells why.
//
// The matrix is cut into tiles of 64 rows and 64 columns, filled with pruned positions at the last rows and
// columns. A tile is eight *atoms* of 8 rows, 64 bytes a row: a K-major operand with the 64-byte swizzle once
// it lies at a multiple of 512 bytes; then the metadata of four *strips* of 16 rows.
//
//   tile    u16 value[8 atoms][8 rows][4 pieces][4 groups][2] · u32 metadata[4 strips][8][2 u][2 s]   4608
//           bytes
//
//     row 8 a + r         row r of atom a
//     group 4 q + n       group n of the row's piece q ^ (r / 2 mod 4)
//     value[…][0], [1]    the weights at the group's columns i0 < i1; zero bits where nothing is kept
//     metadata[w][g][u][s]  eight nibbles i0 + 4 i1: the low four for groups 8 s + 4 u … + 3 of row 16 w + g,
//                         the high four for the row 8 below
//
// A group that keeps fewer than two weights names other columns, in order. Tiles of a panel (64 rows) follow
// each other from left to right, an even number of them, panels from top to bottom: a kernel is free to deal
// panels and K ranges to SMs as the token count wants it. 9/16 of the dense bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "plan/formats/gpu/packed.h"

namespace cross::formats::gpu {

inline constexpr int two_four_rows = 64;
inline constexpr int two_four_cols = 64;
inline constexpr int two_four_groups = two_four_cols / 4;
/// Eight rows of a tile: 64 bytes each.
inline constexpr int two_four_atom_bytes = 512;
/// Bytes of a tile before its metadata.
inline constexpr int two_four_metadata_at = two_four_rows / 8 * two_four_atom_bytes;
inline constexpr int two_four_tile_bytes = two_four_metadata_at + 512;

struct TwoFourHeader : BlobHeader {
  std::int32_t panels = 0;   ///< of 64 rows
  std::int32_t k_tiles = 0;  ///< of 64 columns, even
  std::uint64_t tiles = 0;   ///< offset of the tiles from the start of the blob, a multiple of 128
};

/// Tiles that cover so many columns: K ranges of decode kernels are of 128.
constexpr std::int64_t two_four_k_tiles(std::int64_t cols) {
  return (cols + 2 * two_four_cols - 1) / (2 * two_four_cols) * 2;
}
constexpr std::int64_t two_four_panels(std::int64_t rows) {
  return (rows + two_four_rows - 1) / two_four_rows;
}

/// Index of a group's first value among the values of its tile.
constexpr int two_four_value_index(int row, int group) {
  const int piece = group / 4 ^ (row / 2 % 4);
  return ((row * 4 + piece) * 4 + group % 4) * 2;
}
/// Which of a tile's metadata words has a group's nibble, and how far it is shifted.
constexpr int two_four_word_index(int row, int group) {
  const int strip = row / 16, u = group / 4 % 2, s = group / 8;
  return ((strip * 8 + row % 8) * 2 + u) * 2 + s;
}
constexpr int two_four_shift(int row, int group) { return 16 * (row / 8 % 2) + 4 * (group % 4); }

std::string check_two_four(std::span<const std::byte> blob, std::int64_t rows, std::int64_t cols);
void decode_two_four(std::span<const std::byte> blob, const Visitor& visit);

}  // namespace cross::formats::gpu
