// Host side of the prefill product, for any source: which tile, how many parts of K, how large the rings.
#pragma once

#include <cuda_runtime_api.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <string>

#include "kernels/cuda/device_limits.h"
#include "kernels/cuda/launch.h"
#include "kernels/cuda/prefill/padded.h"
#include "kernels/cuda/prefill/product.cuh"
#include "kernels/cuda/prefill/tensor_map.h"

namespace cross::kernels::cuda {

/// What a source's matrix looks like to the launch.
struct PrefillShape {
  std::int64_t rows = 0, cols = 0, tokens = 0;
  int panels = 0;  ///< of 64 rows
  int blocks = 0;  ///< of a row tile along K, at most
  int block_cols = 0;
  /// Of two_four_overflow: further ones of a pair of panels, in the mean. A CTA has those of all pairs that
  /// it has a panel of.
  double further_blocks = 0;
  std::uint32_t place_bytes = 0;  ///< of a panel's block in shared memory
  /// Copy X to pairs of CTAs, which then work in step on neighbouring row tiles: where X comes too slowly.
  /// All row tiles must read the same columns in the same order.
  bool shares_x = true;
  /// Clusters may share the K of tiles. Not where these differ in length: longest first, they balance.
  bool shares_tiles = true;
  /// What a step of 16 columns takes besides its products, in clocks of a warp group: fitted on an H100.
  double step_clocks = 60;
  /// And for its products of a token, of two warp groups.
  double token_clocks = 0.57;
  /// And for each warp group of an SM beyond two.
  double group_clocks = 0;
  /// Weights of a panel's block in memory, where its bandwidth may bound a round of tiles.
  std::uint32_t weight_bytes = 0;
  /// What expanding a step takes of a scheduler for each warp group, in which tensor cores get little done.
  double expand_clocks = 0;
  /// And its products of a token.
  double busy_clocks = 0.345;
};

/// How a launch cuts the product.
struct PrefillCut {
  int groups = 0, tokens = 0, splits = 1;  ///< which PrefillTile
  int sharers = 1;
  int x_places = 0, w_places = 0;
  std::size_t shared = 0;
  int row_tiles = 0, token_tiles = 0;
  int clusters = 0;  ///< of the grid
  /// Of tiles(), what fills rounds of the GPU. Of the others clusters get equal shares of K, or they are left
  /// to a second launch, whose CTAs share their K and begin wherever the first launch leaves an SM.
  int whole_tiles = 0;
  int tail_splits = 0;  ///< the second launch's PrefillTile::splits, or 0
  int tail_first = 0;   ///< of its tiles, in which no X is shared
  double clocks = 0;
  std::size_t part_bytes = 0;  ///< of scratch, for the sums that clusters leave for others
  int tiles() const { return row_tiles * token_tiles; }
};

/// Rings for a tile in `room` bytes of shared memory; x_places is 0 where they do not fit. X needs depth for
/// the latency of L2; weights come a whole block at a time, so two or three are enough.
template <class Tile>
void choose_rings(Tile, PrefillCut& cut, const PrefillShape& shape, std::size_t room) {
  const std::size_t fixed = Tile::staging_bytes + Tile::exchange_bytes + 128 + Tile::barriers * 8;
  const std::size_t block = std::size_t{Tile::groups} * shape.place_bytes;
  cut.x_places = 0;
  for (const int w_places : {3, 2}) {
    const std::size_t used = fixed + static_cast<std::size_t>(w_places) * block;
    if (used > room) continue;
    const int x_places =
        std::min<int>(static_cast<int>((room - used) / Tile::chunk_bytes), prefill_most_places);
    if (x_places < (w_places == 3 && Tile::ctas == 1 ? 4 : 2)) continue;
    cut.x_places = x_places;
    cut.w_places = w_places;
    cut.shared = used + static_cast<std::size_t>(x_places) * Tile::chunk_bytes;
    return;
  }
}

/// Token tiles that are worked on side by side.
inline constexpr int prefill_band = 8;

/// Clocks of a cluster's `blocks` of K, where `clusters` of them work at a time: those on the same rows read
/// the same weights, once from memory.
template <class Tile>
double clocks_of_blocks(const PrefillCut& cut, const PrefillShape& shape, int blocks, int clusters) {
  constexpr int groups = Tile::groups * Tile::ctas;  // of an SM
  const double step = std::max(
      shape.step_clocks + shape.token_clocks * Tile::tokens * groups / 2 + shape.group_clocks * (groups - 2),
      groups * (shape.expand_clocks + shape.busy_clocks * Tile::tokens));
  constexpr double bytes_a_clock = 2100;  // of memory, on an H200
  const double read = static_cast<double>(clusters * cut.sharers * Tile::splits) * Tile::groups *
                      shape.weight_bytes / std::min(cut.token_tiles, prefill_band) / bytes_a_clock;
  return (blocks + Tile::splits - 1) / Tile::splits * std::max(shape.block_cols / 16.0 * step, read);
}
template <class Tile>
double clocks_of_outputs() {
  const double exchange =
      Tile::splits > 1 ? Tile::exchange_rounds * (1000.0 + Tile::exchange_bytes / 32.0) : 0.0;
  return 2000.0 + 12.0 * Tile::tokens + exchange;
}

/// Clocks of `tiles` tiles of a cut: rounds of them, each its part of K, what surrounds it, and sums
/// exchanged. A step takes as long as it takes one warp group, from weights to products, or as all of an SM
/// keep its schedulers busy. It must only tell cuts apart.
template <class Tile>
double clocks_of(const PrefillCut& cut, int tiles, const PrefillShape& shape) {
  const int pairs = Tile::groups <= 2 ? 1 : 2;
  const int blocks = shape.blocks + static_cast<int>(std::ceil(shape.further_blocks * pairs));
  const auto round = [&](int clusters) {
    return clocks_of_blocks<Tile>(cut, shape, blocks, clusters) + clocks_of_outputs<Tile>();
  };
  const int rounds = tiles / cut.clusters, rest = tiles % cut.clusters;
  return rounds * round(cut.clusters) + (rest > 0 ? round(rest) : 0.0);
}

/// Clocks of a cut whose last tiles are dealt by blocks. Fitted on an H200, where the least of all is within
/// 1 % of the fastest for bitmap_planes (four matrices, 64 to 512 tokens).
template <class Tile>
double clocks_of_shares(const PrefillCut& cut, const PrefillShape& shape) {
  constexpr double announced = 2000, bytes_a_clock = 48;
  const auto units = static_cast<std::int64_t>(cut.tiles() - cut.whole_tiles) * shape.blocks;
  const auto share = static_cast<int>((units + cut.clusters - 1) / cut.clusters);
  const int outputs = std::max(1, (share - 1) / shape.blocks);  // between pieces, and behind the last
  const int parts = (shape.blocks + share - 1) / share;         // of a tile, besides the first
  return clocks_of<Tile>(cut, cut.whole_tiles, shape) +
         clocks_of_blocks<Tile>(cut, shape, share, cut.clusters) + outputs * clocks_of_outputs<Tile>() +
         announced + (1 + parts) * Tile::part_bytes / bytes_a_clock;
}

/// Clusters come as GPCs have room for them: on an H100 of 132 SMs all pairs fit and 30 fours, not 33.
template <class Tile>
int most_prefill_clusters(const DeviceLimits& limits, int sharers) {
  const int size = sharers * Tile::splits, ctas = limits.sms * Tile::ctas;
  return size <= 2 ? ctas / size : std::max(1, ctas / size * 10 / 11);
}

template <class Source, class Tile>
PrefillCut cut_for(const PrefillShape& shape, int sharers, const DeviceLimits& limits) {
  PrefillCut cut;
  cut.groups = Tile::groups;
  cut.tokens = Tile::tokens;
  cut.splits = Tile::splits;
  const int row_tiles = (shape.panels + Tile::groups - 1) / Tile::groups;
  cut.sharers = sharers;
  cut.row_tiles = (row_tiles + sharers - 1) / sharers;
  cut.token_tiles = static_cast<int>((shape.tokens + Tile::tokens - 1) / Tile::tokens);
  constexpr std::size_t reserved = 1024;  // of a CTA, by the system
  choose_rings(Tile{}, cut, shape, (limits.shared_bytes + reserved) / Tile::ctas - reserved);
  if (cut.x_places == 0 || shape.blocks < Tile::splits) return cut;
  cut.clusters = std::min(most_prefill_clusters<Tile>(limits, sharers), cut.tiles());
  cut.whole_tiles = cut.tiles();
  cut.clocks = clocks_of<Tile>(cut, cut.tiles(), shape);
  return cut;
}

/// The same with equal shares of all but `rounds` rounds of tiles; no clusters where that cannot be.
template <class Tile>
PrefillCut shared_cut(PrefillCut cut, const PrefillShape& shape, int rounds, const DeviceLimits& limits) {
  const int size = cut.sharers * Tile::splits;
  constexpr int counters = counter_bytes / sizeof(std::uint32_t);
  cut.clusters = std::min(most_prefill_clusters<Tile>(limits, cut.sharers), counters / size);
  cut.whole_tiles = rounds * cut.clusters;
  const int shared = cut.tiles() - cut.whole_tiles;
  if (rounds < 0 || shared <= 0 || shared > 2 * cut.clusters ||
      std::int64_t{shared} * shape.blocks < cut.clusters) {
    cut.clusters = 0;
    return cut;
  }
  cut.part_bytes = static_cast<std::size_t>(cut.clusters * size) * Tile::part_bytes;
  cut.clocks = clocks_of_shares<Tile>(cut, shape);
  return cut;
}

/// Calls f with the tiles of `Whole`'s size whose K CTAs share.
template <class Source, class Whole, class F>
void for_each_tail_of(F f) {
  for_each_tile_of(Source{}, [&](auto tile) {
    using Tile = decltype(tile);
    if constexpr (Tile::splits > 1 && Tile::groups == Whole::groups && Tile::tokens == Whole::tokens) f(tile);
  });
}

/// Where the tiles of `cut` from `whole` on begin among those of `alone`, the same cut but that CTAs do not
/// share X: as PrefillTurn deals them. `whole` ends with all token tiles of a row tile that stand side by
/// side.
inline int first_alone(const PrefillCut& cut, const PrefillCut& alone, int whole) {
  const int band = whole / (prefill_band * cut.row_tiles), rest = whole - band * prefill_band * cut.row_tiles;
  return band * prefill_band * alone.row_tiles + rest * cut.sharers;
}
/// The most tiles up to `most` that end so.
inline int whole_bands(const PrefillCut& cut, int most) {
  const int in_band = prefill_band * cut.row_tiles, band = most / in_band;
  const int width = std::min(prefill_band, cut.token_tiles - band * prefill_band);
  return width <= 0 ? most : band * in_band + (most - band * in_band) / width * width;
}

/// Whether CTAs on neighbouring row tiles may work in step, so that they can share X.
template <class Source, class Tile>
inline constexpr bool may_share_x = true;

/// Calls f with every cut of the product into one kind of tile.
template <class Source, class Tile, class F>
void for_each_cut(const PrefillShape& shape, const DeviceLimits& limits, F f) {
  for (const int sharers : {1, 2}) {
    if (sharers == 2 && !(may_share_x<Source, Tile> && shape.shares_x && shape.panels > Tile::groups))
      continue;
    const PrefillCut cut = cut_for<Source, Tile>(shape, sharers, limits);
    if (cut.clusters == 0) continue;
    f(cut);
    const int rounds = cut.tiles() / cut.clusters;
    if constexpr (Tile::deals_blocks) {
      if (!shape.shares_tiles) continue;
      f(shared_cut<Tile>(cut, shape, rounds, limits));
      f(shared_cut<Tile>(cut, shape, rounds - 1, limits));
    } else if (Tile::splits == 1 && cut.tiles() > rounds * cut.clusters) {
      constexpr double tail_start = 7000;  // until the second launch multiplies
      const int whole = sharers == 1 ? rounds * cut.clusters : whole_bands(cut, rounds * cut.clusters);
      if (whole == 0) continue;
      for_each_tail_of<Source, Tile>([&](auto split) {
        const PrefillCut tail = cut_for<Source, decltype(split)>(shape, 1, limits);
        if (tail.clusters == 0) return;
        PrefillCut with_tail = cut;
        with_tail.tail_splits = tail.splits;
        with_tail.whole_tiles = whole;
        with_tail.tail_first = first_alone(cut, tail, whole);
        with_tail.clocks = clocks_of<Tile>(cut, whole, shape) + tail_start +
                           clocks_of<decltype(split)>(tail, tail.tiles() - with_tail.tail_first, shape);
        f(with_tail);
      });
    }
  }
}

/// The cheapest cut. Where CTAs may share X they do, unless that takes more rounds of the GPU (fours of CTAs
/// leave SMs idle); for equal rounds sharing is preferred.
template <class Source>
PrefillCut best_prefill_cut(const PrefillShape& shape) {
  constexpr double own_x = 1.1;                 // times the clocks
  const DeviceLimits limits = device_limits();  // asked once: it asks CUDA
  PrefillCut best;
  for_each_tile_of(Source{}, [&](auto tile) {
    using Tile = decltype(tile);
    for_each_cut<Source, Tile>(shape, limits, [&](const PrefillCut& cut) {
      if (cut.clusters == 0) return;
      const bool spares_x = cut.sharers == 1 && shape.shares_x && shape.panels > Tile::groups;
      const double clocks = spares_x ? cut.clocks * own_x : cut.clocks;
      if (best.clusters > 0 && clocks >= best.clocks) return;
      best = cut;
      best.clocks = clocks;
    });
  });
  return best;
}

/// Why no tile can run a product; empty if one can.
template <class Source>
std::string prefill_refuses(PrefillShape shape) {
  shape.tokens = std::max<std::int64_t>(shape.tokens, 1);
  return best_prefill_cut<Source>(shape).clusters > 0 ? std::string()
                                                      : "its rings do not fit into shared memory";
}

/// Rows of X as tensor copies need them: `args` and `shape` changed to a padded copy in scratch where they
/// are not.
inline int pad_activations(GpuArgs& args, PrefillShape& shape) {
  if (shape.cols % tensor_row_unit == 0) return cudaSuccess;
  const int error = enqueue_padded(args.x, args.workspace, args.tokens, shape.cols, args.stream);
  args.x = args.workspace;
  args.overlap = false;  // that kernel must have ended
  shape.cols = padded_cols(shape.cols);
  return error;
}

/// The kernel of a tile; tiles with a loop of their own say which.
template <class T, class Source, class Tile>
inline constexpr auto prefill_kernel_of = prefill_kernel<T, Source, Tile>;

/// CTAs of a launch of that many tiles of a cut.
template <class Tile>
int prefill_ctas(const PrefillCut& cut, int tiles) {
  return (cut.part_bytes > 0 ? cut.clusters : std::min(cut.clusters, tiles)) * cut.sharers * Tile::splits;
}

/// Launches the tiles from `first` to before `last` of a cut. @param part  of what best_prefill_cut chose
template <class T, class Source, class Tile>
int launch_prefill_tiles(const PrefillShape& shape, const typename Source::Params& source,
                         const PrefillCut& cut, int first, int last, PrefillPart part, const GpuArgs& args,
                         DType dtype, std::byte* parts) {
  PrefillParams<T, Source> p;
  if (const int error =
          encode_tokens(p.x_map, args.x, dtype, args.tokens, shape.cols, Tile::tokens / cut.sharers);
      error != cudaSuccess)
    return error;
  p.source = source;
  p.epilogue = {static_cast<T*>(args.y), args.bias, static_cast<const T*>(args.residual), shape.rows,
                args.activation};
  p.x = static_cast<const T*>(args.x);
  p.cols = shape.cols;
  p.tokens = static_cast<std::int32_t>(args.tokens);
  p.row_tiles = cut.row_tiles;
  p.token_tiles = cut.token_tiles;
  p.band = std::min(cut.token_tiles, prefill_band);
  p.first = first;
  p.last = last;
  p.part = part;
  p.whole_tiles = cut.whole_tiles;
  p.whole_rounds = (cut.whole_tiles + cut.clusters - 1) / cut.clusters;
  p.tile_units = std::max(shape.blocks, 1);
  const std::int64_t units = cut.part_bytes > 0 ? std::int64_t{last - cut.whole_tiles} * shape.blocks : 0;
  p.share_units = static_cast<std::int32_t>(units / cut.clusters);
  p.longer_shares = static_cast<std::int32_t>(units % cut.clusters);
  p.parts = parts;
  p.arrivals = args.counters;
  p.sharers = cut.sharers;
  p.x_places = cut.x_places;
  p.w_places = cut.w_places;
  p.aligned_rows = shape.rows % 8 == 0 && reinterpret_cast<std::uintptr_t>(args.y) % 16 == 0 &&
                   reinterpret_cast<std::uintptr_t>(args.residual) % 16 == 0;
  p.y_map = {};
  if (p.aligned_rows)
    if (const int error = encode_tokens(p.y_map, args.y, dtype, args.tokens, shape.rows, Tile::staged_tokens);
        error != cudaSuccess)
      return error;
  const int cluster = cut.sharers * Tile::splits;
  return launch_in_clusters(prefill_kernel_of<T, Source, Tile>, prefill_ctas<Tile>(cut, last - first),
                            cluster, Tile::threads, cut.shared, args.stream,
                            args.overlap || part == PrefillPart::tail || part == PrefillPart::gathering, p);
}

/// Launches the cut that best_prefill_cut (or a tuner) chose.
/// @param alone  what a launch of all tiles is
/// @param parts  part_bytes of the cut, 256-byte aligned
template <class T, class Source>
int launch_prefill(const PrefillShape& shape, const typename Source::Params& source, const PrefillCut& cut,
                   const GpuArgs& args, DType dtype, PrefillPart alone = PrefillPart::all,
                   std::byte* parts = nullptr) {
  int error = cudaErrorInvalidConfiguration;
  for_each_tile_of(Source{}, [&](auto tile) {
    using Tile = decltype(tile);
    if (cut.clusters == 0 || cut.groups != Tile::groups || cut.tokens != Tile::tokens ||
        cut.splits != Tile::splits)
      return;
    const bool has_tail = cut.tail_splits > 0;
    error = launch_prefill_tiles<T, Source, Tile>(
        shape, source, cut, 0, has_tail ? cut.whole_tiles : cut.tiles(),
        has_tail ? PrefillPart::before_tail : alone, args, dtype, parts);
    if constexpr (!Tile::deals_blocks)
      for_each_tail_of<Source, Tile>([&](auto split) {
        using Split = decltype(split);
        if (error != cudaSuccess || cut.tail_splits != Split::splits) return;
        const PrefillCut tail = cut_for<Source, Split>(shape, 1, device_limits());
        error = launch_prefill_tiles<T, Source, Split>(shape, source, tail, cut.tail_first, tail.tiles(),
                                                       PrefillPart::tail, args, dtype, nullptr);
      });
  });
  return error;
}

}  // namespace cross::kernels::cuda
