// Format two_four: matrices whose every group of 4 neighbouring columns (4j … 4j + 3) keeps at most 2
// weights, stored in the order in which sparse tensor cores take them from registers. docs/gpu.md tells why.
//
// The matrix is cut into blocks of 32 rows and 128 columns, filled with pruned positions at the last rows and
// columns. A block is 8 fragments of mma.sp m16n8k32, four *steps* of 32 columns by two *halves* of 16 rows,
// and the metadata of all of them. Every load of a warp is 512 neighbouring bytes, 16 a lane:
//
//   block   u16 value[4 steps][2 halves][32 lanes][4 registers][2] · u32 metadata[32 lanes][4 steps]   4608
//           bytes
//
//     lane 4 g + t, register r    row 16 half + g + 8 (r mod 2) of the block,
//                                 group j = t + 4 (r / 2) of the step: its columns 32 step + 4 j … + 3
//     value[…][0], value[…][1]    the weights at the group's columns i0 < i1; zero bits where nothing is kept
//     metadata of lane 4 g + 2 half + u, step: eight nibbles i0 + 4 i1; the low four for row
//                                 16 half + g and groups 4 u … 4 u + 3, the high four for the row 8 below
//
// A group that keeps fewer than two weights names other columns, in order. Blocks of a panel (32 rows) follow
// each other from left to right, panels from top to bottom: a kernel is free to deal panels and K ranges to
// SMs as the token count wants it. 9/16 of the dense bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "plan/formats/gpu/packed.h"

namespace cross::formats::gpu {

inline constexpr int two_four_rows = 32;
inline constexpr int two_four_cols = 128;
inline constexpr int two_four_steps = 4;
inline constexpr int two_four_fragment_bytes = 512;
/// Bytes of a block before its metadata.
inline constexpr int two_four_metadata_at = 2 * two_four_steps * two_four_fragment_bytes;
inline constexpr int two_four_block_bytes = two_four_metadata_at + 512;

struct TwoFourHeader : BlobHeader {
  std::int32_t panels = 0;    ///< of 32 rows
  std::int32_t k_blocks = 0;  ///< of 128 columns
  std::uint64_t blocks = 0;   ///< offset of the blocks from the start of the blob, a multiple of 128
};

/// Index of a group's first value among the values of its block.
constexpr int two_four_value_index(int row, int group) {
  const int step = group / 8, half = row / 16, lane = 4 * (row % 8) + group % 4;
  const int reg = (row / 8) % 2 + 2 * (group / 4 % 2);
  return (((step * 2 + half) * 32 + lane) * 4 + reg) * 2;
}
/// Which of a block's metadata words has a group's nibble, and how far it is shifted.
constexpr int two_four_word_index(int row, int group) {
  const int lane = 4 * (row % 8) + 2 * (row / 16) + group / 4 % 2;
  return lane * two_four_steps + group / 8;
}
constexpr int two_four_shift(int row, int group) { return 16 * (row / 8 % 2) + 4 * (group % 4); }

std::string check_two_four(std::span<const std::byte> blob, std::int64_t rows, std::int64_t cols);
void decode_two_four(std::span<const std::byte> blob, const Visitor& visit);

}  // namespace cross::formats::gpu
