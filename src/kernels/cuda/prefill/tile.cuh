// What a prefill launch is given, and the sizes that one kernel instance is made for.
#pragma once

#include "kernels/cuda/epilogue.cuh"
#include "kernels/cuda/gpu_kernel.h"
#include "kernels/cuda/prefill/pipeline.cuh"

namespace cross::kernels::cuda {

inline constexpr int prefill_panel_rows = 64;
inline constexpr int prefill_chunk_cols = 64;  ///< of X in one place of its ring: 128 bytes a token
inline constexpr std::int64_t prefill_most_tokens = std::int64_t{1}
                                                    << 24;  ///< of a launch: 32-bit coordinates
inline constexpr int prefill_most_places = 8;               ///< of a ring

/// Eights of tokens whose sums CTAs exchange at a time: all of a CTA's own, or as many as leave X enough
/// places.
constexpr int prefill_exchanged_eights(int groups, int own_eights, int splits, int most_bytes = 64 * 1024) {
  int eights = own_eights;
  while (eights > 1 && (eights > 8 || (splits - 1) * groups * 4 * eights * 512 > most_bytes)) eights /= 2;
  return eights;
}

/// Eights of tokens of which all groups' sums fit where `most` do: a power of two.
constexpr int prefill_part_eights(int most, int own_eights) {
  int eights = own_eights;
  while (eights > most) eights /= 2;
  return eights;
}

/// @tparam groups  warp groups that multiply, a panel each
/// @tparam tokens  of an output tile
/// @tparam splits  CTAs of a cluster that share a tile's K; each adds up `tokens / splits` of its tokens
template <int groups_, int tokens_, int splits_>
struct PrefillTile {
  static constexpr int groups = groups_, tokens = tokens_, splits = splits_;
  static constexpr int rows = groups * prefill_panel_rows;
  /// Whether tiles that do not fill a round are dealt by blocks of K; else they have a launch of their own.
  static constexpr bool deals_blocks = true;
  static constexpr int eights = tokens / 8;
  static constexpr int own_eights = eights / splits;
  static constexpr int threads = (groups + 1) * 128;
  /// CTAs of an SM: with one warp group each, two take turns on the tensor cores.
  static constexpr int ctas = groups == 1 ? 2 : 1;
  /// Registers of a thread, producing and multiplying; all of them together are the CTA's share of the SM's.
  static constexpr int few_registers = groups == 1 ? 40 : 24;
  static constexpr int launch_registers = 65536 / ctas / threads / 8 * 8;
  static constexpr int most_registers =
      (launch_registers * threads - few_registers * 128) / (groups * 128) / 8 * 8;
  static constexpr int many_registers = most_registers > 240 ? 240 : most_registers;
  static constexpr std::uint32_t chunk_bytes = tokens * 128;
  static constexpr int staged_tokens = own_eights * 8 < 64 ? own_eights * 8 : 64;
  /// Outputs on their way to memory, 128 bytes a token and panel: places are filled while others are stored.
  static constexpr int staging_places = splits == 1 && own_eights * 8 > staged_tokens ? 2 : 1;
  static constexpr std::uint32_t group_staging_bytes = staging_places * staged_tokens * 128;
  static constexpr std::uint32_t staging_bytes = groups * group_staging_bytes;
  /// Sums that come from the other CTAs of a tile: [other][warp][exchanged_eights][lane] float4, a round's.
  static constexpr int exchanged_eights = prefill_exchanged_eights(groups, own_eights, splits);
  static constexpr int exchange_rounds = own_eights / exchanged_eights;
  static constexpr std::uint32_t exchange_bytes = (splits - 1) * groups * 4 * exchanged_eights * 512;
  /// Sums that a CTA leaves in memory for another: [part_rounds][groups][part_eights][128 threads] float4. A
  /// round comes through a place of X.
  static constexpr int part_eights = prefill_part_eights(chunk_bytes / (groups * 2048), own_eights);
  static constexpr int part_rounds = own_eights / part_eights;
  static constexpr std::uint32_t round_bytes = groups * part_eights * 2048;
  static constexpr std::uint32_t part_bytes = part_rounds * round_bytes;
  /// Barriers: full and empty of both rings; of the exchange, one of each a warp; one for sums left in
  /// memory.
  static constexpr int barriers = 4 * prefill_most_places + 2 * groups * 4 + 1;
};

/// Which part of the tiles a launch has. A tail may run beside the launch before it: that one lets it start
/// once x is there, and ends before the tail does. `gathering` has all tiles and may run beside a kernel that
/// makes columns of x and lets it start once x is there.
enum class PrefillPart : std::int32_t { all, before_tail, tail, gathering };

template <class T, class Source>
struct PrefillParams {
  CUtensorMap x_map;  ///< X in boxes of 64 columns and tokens / sharers tokens
  CUtensorMap y_map;  ///< y in boxes of 64 rows of W and staged_tokens tokens, where rows are aligned
  typename Source::Params source;
  EpilogueArgs<T> epilogue;
  const T* x;
  std::int64_t cols;  ///< of a row of x in memory
  std::int32_t tokens;
  std::int32_t row_tiles;  ///< of the cluster: sharers · Tile::rows rows
  std::int32_t token_tiles;
  std::int32_t first, last;  ///< the tiles of this launch, in the order of the turns
  PrefillPart part;
  std::int32_t whole_tiles;                 ///< those before are not cut across clusters
  std::int32_t whole_rounds;                ///< of clusters that these are
  std::int32_t tile_units;                  ///< into which a tile after these is cut
  std::int32_t share_units, longer_shares;  ///< units of a cluster; the first shares have one more
  std::byte* parts;                         ///< sums that CTAs leave for others, Tile::part_bytes each
  std::uint32_t* arrivals;  ///< [CTAs]: how many have left theirs for this one; zero before and after
  std::int32_t band;        ///< token tiles that are worked on side by side
  std::int32_t sharers;     ///< CTAs of a cluster that share tokens and split: X is copied to all of them
  std::int32_t x_places, w_places;
  bool aligned_rows;  ///< of y and residual, to 16 bytes
};

/// The output tile of a turn of the persistent loop.
struct PrefillTurn {
  int row_tile, token_tile;
  /// Bands of token tiles; in a band row tile by row tile, so that CTAs side by side share X and W in L2.
  template <class P>
  __device__ __forceinline__ PrefillTurn(const P& p, int tile) {
    const int in_band = p.band * p.row_tiles;
    const int band = tile < in_band ? 0 : tile / in_band, rest = tile - band * in_band;
    const int width = min(p.band, p.token_tiles - band * p.band);
    row_tile = width == 1 ? rest : rest / width;
    token_tile = band * p.band + rest - row_tile * width;
  }
};

}  // namespace cross::kernels::cuda
