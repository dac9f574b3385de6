// Formats delta4 and delta8: per kept weight a 16-bit value and a column step of 4 or 8 bits, read by a warp
// without any search. docs/gpu/delta.md tells why.
//
// K is cut into `slices` of `extent` columns, the rows of W into `parts`; a CTA works on one part in one
// slice. Inside a CTA rows are sorted by their kept weights and taken eight at a time: a *tile*. The kept
// weights of a row are split into four lists, so a tile has 32 lists, one for each lane of a warp, all of one
// length, a multiple of 4: a *quad* is four steps of the 32 lists. Two quads are a *block*; the blocks of a
// CTA lie one after the other, tiles change between quads, and the warps of the CTA share the blocks evenly.
// What a warp has of a tile is a *piece*.
//
// A step is also what one sparse tensor core instruction multiplies. mma.sp m16n8k32 contracts 32 k-slots:
// lane l gathers the row of X at its own column into slot l. Row g of A may have two of four neighbouring
// slots; it has slot g mod 4 of the groups 4 (g / 4) … + 3, so the lists of row g are gathered by the lanes
// 16 (g / 4) + 4 q + g mod 4, q = 0 … 3, while the weight of list q is held by lane 4 g + q. A block stores
// steps in the order of gathering lanes and values in the order of holding lanes.
//
// Columns are counted as *positions* in the slice; step s of a list moves its lane to a position:
//
//   delta4   lists are quarters of the row's steps, columns ascending; position = column. A step moves by
//            1 + nibble; wider gaps are bridged by steps of value zero. Reading X without bank conflicts is
//            the kernel's affair (it keeps copies).
//   delta8   a step moves by a signed byte. The order inside a quarter is chosen so that the eight lanes
//            8i … 8i + 7 stand at positions that differ modulo 8; gather_position permutes columns inside
//            eights so that storing X in that order has no conflicts either.
//
// Values of all zero bits only move or fill; −0.0 is a value. They stand inside the slice rounded up to eight
// columns.
//
//   delta4 block   640 bytes: u32 steps[32 lanes], step s < 4 in bits 8 s, step 4 + s in bits 8 s + 4 ·
//                  u16 value[32 lanes][8 steps]
//   delta8 block   768 bytes: i8 steps[32 lanes][8] · u16 value[32 lanes][8]
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "plan/formats/gpu/packed.h"

namespace cross::formats::gpu {

inline constexpr int delta_lanes = 32;
inline constexpr int delta_tile_rows = 8;
inline constexpr int delta_block_steps = 8;
inline constexpr int delta_quad_steps = 4;
/// Warps of a CTA.
inline constexpr int delta_warps = 16;
/// CTAs whose first blocks fit into a launch's parameters.
inline constexpr int delta_max_ctas = 512;
/// The place of a row that does not exist.
inline constexpr std::uint16_t delta_no_row = 0xffff;

constexpr int delta_steps_bytes(int bits) { return delta_lanes * bits; }
constexpr int delta_block_bytes(int bits) {
  return delta_steps_bytes(bits) + delta_lanes * delta_block_steps * 2;
}

struct DeltaHeader : BlobHeader {
  std::int32_t bits = 0;               ///< 4 or 8
  std::int32_t parts = 0, slices = 0;  ///< CTA = part · slices + slice
  std::int32_t extent = 0;             ///< columns of a slice (the last may have fewer), a multiple of 8
  std::int32_t part_tiles = 0;         ///< room for the tiles of a part, 8 rows each
  std::int32_t max_pieces = 0;         ///< room for the pieces of a CTA
  // Offsets of the arrays from the start of the blob, multiples of 128.
  std::uint64_t cta_block = 0;  ///< u32[ctas + 1]: first block
  std::uint64_t part_rows = 0;  ///< i32[parts][8 · part_tiles]: row of W, or −1
  std::uint64_t directory = 0;  ///< ctas · DeltaDirectory(…).bytes
  std::uint64_t stream = 0;     ///< blocks

  std::uint64_t ctas() const {
    return static_cast<std::uint64_t>(parts) * static_cast<std::uint64_t>(slices);
  }
};

/// Where things are in the directory of a CTA: what its warps must know beside blocks. Multiples of 16 bytes.
/// A piece starts at the position that its first step would move to with a nibble of 0 (delta4) or from which
/// it moves (delta8).
struct DeltaDirectory {
  std::uint32_t piece_end;    ///< u32[pieces + 1]: quad after the piece's last, in the CTA; the last unused
  std::uint32_t piece_start;  ///< u16[pieces + 1][32]: where the lists stand, see above
  std::uint32_t warp_piece;   ///< u16[16]: the warp's first piece
  std::uint32_t tile_piece;   ///< u16[tiles + 1]: the tile's first piece; one without kept weights has none
  std::uint32_t row_place;  ///< u16[8 · tiles]: place 8 · tile + row of each row of the part, or delta_no_row
  std::uint32_t bytes;

  constexpr DeltaDirectory(std::int32_t pieces, std::int32_t tiles)
      : piece_end(0),
        piece_start(align(4 * (static_cast<std::uint32_t>(pieces) + 1))),
        warp_piece(piece_start + 64 * (static_cast<std::uint32_t>(pieces) + 1)),
        tile_piece(warp_piece + 2 * delta_warps),
        row_place(tile_piece + align(2 * (static_cast<std::uint32_t>(tiles) + 1))),
        bytes(row_place + 16 * static_cast<std::uint32_t>(tiles)) {}

 private:
  static constexpr std::uint32_t align(std::uint32_t n) { return (n + 15) / 16 * 16; }
};

/// Whether a matrix of this size can be described whatever the GPU: slices have 256 columns or more, parts
/// less than 2^16 rows.
constexpr bool delta_takes(std::int64_t rows, std::int64_t cols) {
  const std::int64_t slices = (cols + 255) / 256;
  return slices <= delta_max_ctas && rows <= delta_max_ctas / slices * 65520;
}

/// First block of warp `w` when `count` blocks are shared by the warps of a CTA.
constexpr std::uint32_t delta_warp_begin(std::uint32_t count, int w) {
  return static_cast<std::uint32_t>(static_cast<std::uint64_t>(count) * static_cast<std::uint64_t>(w) /
                                    delta_warps);
}

/// delta8: position of a column inside its slice, and back: the same permutation.
constexpr int gather_position(int column) { return (column & ~7) | ((column ^ (column >> 3)) & 7); }

/// Row of the tile that gathering lane `lane` serves, which of its lists, and the lane that holds the list's
/// values.
constexpr int gather_row(int lane) { return 4 * (lane >> 4) + (lane & 3); }
constexpr int gather_list(int lane) { return (lane >> 2) & 3; }
constexpr int holding_lane(int lane) { return 4 * gather_row(lane) + gather_list(lane); }

std::string check_delta(std::span<const std::byte> blob, std::size_t threads);
void decode_delta(std::span<const std::byte> blob, const Visitor& visit);

}  // namespace cross::formats::gpu
