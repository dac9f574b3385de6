// Format cross_panels: fp32 matrices for two kinds of unit at once. Every row panel has a list for the tensor
// cores and a list for the CUDA cores; what is in neither costs nothing. docs/gpu/cross_panels.md tells why.
//
// A panel is 256 rows, a K step 64 columns. Two CTAs, a cluster, share a panel: the first has its upper 128
// rows (its *share*), the second the others, each in two halves of 64 rows. A *tensor step* holds the kept
// weights of one K step of a panel for split-precision tensor-core products; a *gather chunk* holds those of
// up to four other K steps of one share for multiplication weight by weight. Rows and columns past the last
// are pruned.
//
//   tensor step, for each of the four halves that keeps a weight there on tensor cores:
//     u32 mask[4 warps][32 registers] · u16 first[4 warps][32 registers] · f32 value[…]
//     warp w, lane 4 g + t, register 8 s + e    row 16 w + g + 8 (e / 2 mod 2) of the half,
//                                               column 16 s + 2 t + e mod 2 + 8 (e / 4) of the step
//     mask bit l: lane l keeps a weight in this register; the values of a register follow each other by lane,
//     registers by index, warps by index; first: byte offset of a register's first value
//
//   gather chunk: up to four K steps; window row 64 j + c is column c of its j-th K step
//     u16 pair_first[33] · (16-byte aligned) f32 value[pairs][4][2] · u16 at[pairs][4][2]
//     list l of 32 holds rows 4 l … 4 l + 3 of the share, the q-th in [pair][q]; pairs pair_first[l] …
//     pair_first[l + 1] − 1; at: 128 · window row, or 32768 for filling (value 0)
//
// A token tile is 128 tokens. For every number of token tiles from 1 to 8 there is a *schedule*: which worker
// (cluster) computes which piece of which (token tile, panel) in which order. A piece has a range of both
// lists; a tile of several pieces is added up in the order of its pieces.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "plan/formats/gpu/packed.h"

namespace cross::formats::gpu {

inline constexpr int cross_rows = 256;  ///< of a panel
inline constexpr int cross_shares = 2;  ///< of a panel, one a CTA
inline constexpr int cross_share_rows = cross_rows / cross_shares;
inline constexpr int cross_half_rows = 64;   ///< of a warp group
inline constexpr int cross_k = 64;           ///< columns of a K step
inline constexpr int cross_tokens = 128;     ///< of a token tile
inline constexpr int cross_max_tiles = 8;    ///< token tiles of one launch
inline constexpr int cross_registers = 32;   ///< weights of a lane in a tensor step
inline constexpr int cross_chunk_steps = 4;  ///< K steps of a gather chunk
inline constexpr int cross_lists = cross_share_rows / 4;
inline constexpr std::uint32_t cross_filling = 128 * cross_k * cross_chunk_steps;

/// Bytes of a half's masks and first offsets, before its values.
inline constexpr int cross_masks_bytes = 4 * cross_registers * 4;
inline constexpr int cross_half_header = cross_masks_bytes + 4 * cross_registers * 2;
/// Bytes of a chunk's pair_first, before its values.
inline constexpr int cross_chunk_header = 80;
inline constexpr int cross_pair_values = 32, cross_pair_bytes = 48;
/// A size of a half counts in these.
inline constexpr std::uint32_t cross_unit = 16;
/// Limits of what a launch reserves in shared memory for one step and one chunk.
inline constexpr std::uint32_t cross_max_step_bytes = 2 * (cross_half_header + 64 * 64 * 4);
inline constexpr std::uint32_t cross_max_chunk_bytes = 24 * 1024;

struct CrossStep {
  std::uint32_t k_step = 0;
  std::uint32_t at = 0;         ///< in units of 16 bytes from `values`
  std::uint16_t units[4] = {};  ///< 16-byte units of each half; 0: it keeps nothing
};
struct CrossChunk {
  std::uint32_t k_step[cross_chunk_steps] = {};
  std::uint32_t steps = 0;
  std::uint32_t at = 0;  ///< in units of 16 bytes from `values`
  std::uint32_t bytes = 0;
  std::uint32_t pairs = 0;
};
/// Part of one (token tile, panel): ranges of the panel's lists, indices into all steps and chunks.
struct CrossPiece {
  std::uint16_t tile = 0;
  std::uint16_t part = 0, parts = 1;
  std::uint16_t counter = 0;  ///< of a tile with several parts, unique within a schedule
  std::uint32_t panel = 0;
  std::uint32_t first_step = 0, steps = 0;
  std::uint32_t first_chunk[cross_shares] = {}, chunks[cross_shares] = {};
  std::uint32_t first_slot = 0;  ///< where the tile's first part leaves its sums; the others follow
};
static_assert(sizeof(CrossPiece) == 40 && sizeof(CrossChunk) == 32 && sizeof(CrossStep) == 16);

/// How panels were given to workers; the first three as compiler/balance/workers.h has them, even_cut: every
/// worker a contiguous range of all tiles, cut where the predicted load is even.
enum class CrossPolicy : std::uint32_t { same, paired, longest_first, even_cut };

struct CrossSchedule {
  std::uint32_t policy = 0;    ///< CrossPolicy
  std::uint32_t slots = 0;     ///< places for partial sums
  std::uint32_t counters = 0;  ///< tiles of several pieces
  std::uint32_t unused = 0;
};

struct CrossPanelsHeader : BlobHeader {
  std::int32_t panels = 0, k_steps = 0;
  std::int32_t step_bytes = 0;   ///< a share's largest tensor step, rounded up to 128
  std::int32_t chunk_bytes = 0;  ///< the largest gather chunk, rounded up to 128; 0: no chunks
  std::int32_t workers = 0;
  std::int32_t pieces = 0;
  std::array<CrossSchedule, cross_max_tiles> schedules{};
  std::uint64_t exponents = 0;     ///< i32[256 panels]: tensor cores multiply weights · 2^exponent
  std::uint64_t panel_steps = 0;   ///< u32[panels + 1]: first tensor step of each panel
  std::uint64_t panel_chunks = 0;  ///< u32[2 panels + 1]: of each share
  std::uint64_t steps = 0;         ///< CrossStep[…]
  std::uint64_t chunks = 0;        ///< CrossChunk[…]
  std::uint64_t values = 0;
  std::uint64_t value_bytes = 0;
  std::uint64_t worker_pieces = 0;  ///< u32[8][workers + 1]: first piece of each worker, into all pieces
  std::uint64_t piece_list = 0;     ///< CrossPiece[pieces]
};

constexpr int cross_fragment_row(int warp, int lane, int reg) {
  return 16 * warp + lane / 4 + 8 * (reg / 2 % 2);
}
constexpr int cross_fragment_col(int lane, int reg) {
  return 16 * (reg / 8) + 2 * (lane % 4) + reg % 2 + 8 * (reg / 4 % 2);
}

std::string check_cross_panels(std::span<const std::byte> blob, std::int64_t rows, std::int64_t cols);
void decode_cross_panels(std::span<const std::byte> blob, const Visitor& visit);

}  // namespace cross::formats::gpu
