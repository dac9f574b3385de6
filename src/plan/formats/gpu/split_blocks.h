// Format split_blocks: fp32 weights for tensor cores that multiply fp16, one entry a kept weight. Every row
// is scaled by a power of two, and a weight is stored as the sum of two fp16 numbers:
//
//   w · 2^e = high + low + r,   |w · 2^e| < 2^15,   |r| <= 2^-22 |w · 2^e| down to 2^-25
//
// W is cut into panels of 128 rows and these into blocks of 64 columns; a block has two halves of 64 rows,
// each with a list of entries. An entry says where in shared memory the kernel puts its weight: high parts of
// a half lie there as 64 rows of 128 bytes with the 128-byte swizzle, as tensor cores read a B operand.
//
//   entry   u32 parts   high | low << 16
//           u16 place   bits 1 … 13: byte of the high part in the block (half 1 from 8192 on);
//                       bits 0, 14, 15: c + 4 (bit 0 the lowest), c in [-4, 3]
//
//   w = the fp32 next to (high + low) · 2^-e, moved c units in its last place; those that this does not reach
//   stand in `exceptions` (the smallest of a row, -0.0)
//
//   row r of the half, column c of the block     byte 8192 half + 128 r + 16 ((s / 8) ^ (r mod 8)) + 2 (s mod
//   8) s: c = 16 a + 4 t + j stands at              16 a + 2 t + j mod 2 + 8 (j / 2)
//
// so that a lane that reads four neighbouring columns of x has two fragments' worth of A. A list is a number
// of quads; its last quad is filled up with its last entry. `begin` counts quads. Entries of a list are dealt
// so that the 32 lanes of a warp, four entries each, write to different banks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "plan/formats/gpu/packed.h"

namespace cross::formats::gpu {

inline constexpr int split_rows = 128;      ///< of a panel
inline constexpr int split_half_rows = 64;  ///< of a list
inline constexpr int split_k = 64;          ///< columns of a block
inline constexpr int split_half_bytes = 8192;
inline constexpr std::uint32_t split_place_mask = 0x3ffe;

/// Beginnings of up to so many lists travel with a launch: nobody waits for memory to learn where weights
/// are.
inline constexpr std::uint64_t split_lists_aboard = 640;

struct SplitException {
  std::uint32_t entry = 0;  ///< filling counts
  std::uint32_t bits = 0;   ///< of the weight, fp32
};

struct SplitBlocksHeader : BlobHeader {
  std::int32_t panels = 0;    ///< of 128 rows
  std::int32_t k_blocks = 0;  ///< of 64 columns
  std::uint64_t quads = 0;    ///< of all lists
  std::uint64_t exception_count = 0;
  // Offsets from the start of the blob, multiples of 128.
  std::uint64_t begin = 0;       ///< u32[panels][k_blocks][2 halves], then the count of all quads
  std::uint64_t exponents = 0;   ///< i32[panels · 128]: e of every row
  std::uint64_t parts = 0;       ///< u32[quads][4]
  std::uint64_t places = 0;      ///< u16[quads][4]
  std::uint64_t exceptions = 0;  ///< by ascending entry

  std::uint64_t lists() const {
    return 2 * static_cast<std::uint64_t>(panels) * static_cast<std::uint64_t>(k_blocks);
  }
};

/// Where column `c` of a block stands in its rows.
constexpr int split_slot(int c) { return c / 16 * 16 + c % 16 / 4 * 2 + c % 2 + c % 4 / 2 * 8; }
/// The column that stands there.
constexpr int split_column(int slot) {
  return slot / 16 * 16 + slot % 8 / 2 * 4 + slot % 2 + slot % 16 / 8 * 2;
}
/// Byte of the high part of row `row` (of 128) and column `col` of a block.
constexpr std::uint32_t split_place(int row, int col) {
  const int r = row % split_half_rows, s = split_slot(col);
  return static_cast<std::uint32_t>(row / split_half_rows * split_half_bytes + 128 * r +
                                    16 * ((s / 8) ^ (r % 8)) + 2 * (s % 8));
}
constexpr int split_place_row(std::uint32_t place) { return static_cast<int>(place / 128 % 128); }
constexpr int split_place_col(std::uint32_t place) {
  return split_column(static_cast<int>((place / 16 % 8 ^ place / 128 % 8) * 8 + place / 2 % 8));
}

/// The weight of an entry that is no exception.
float split_weight(std::uint32_t parts, std::uint16_t place, std::int32_t exponent);

std::string check_split_blocks(std::span<const std::byte> blob, std::int64_t rows, std::int64_t cols);
void decode_split_blocks(std::span<const std::byte> blob, const Visitor& visit);

}  // namespace cross::formats::gpu
