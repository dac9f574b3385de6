// Host side of the prefill product, for any source: which tile, how many parts of K, how large the rings.
#pragma once

#include <cuda_runtime_api.h>

#include <algorithm>
#include <array>

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
  std::uint32_t place_bytes = 0;  ///< of a panel's block in shared memory
  /// Copy X to pairs of CTAs, which then work in step on neighbouring row tiles: where X comes too slowly.
  /// All row tiles must read the same columns in the same order.
  bool shares_x = true;
  /// What a step of 16 columns takes besides its products, in clocks of a warp group: fitted on an H100.
  double step_clocks = 60;
  /// And for its products of a token, of two warp groups.
  double token_clocks = 0.57;
  /// What expanding a step takes of a scheduler for each warp group, in which tensor cores get little done.
  double expand_clocks = 0;
};

/// How a launch cuts the product.
struct PrefillCut {
  int groups = 0, tokens = 0, splits = 1;  ///< which PrefillTile
  int sharers = 1;
  int x_places = 0, w_places = 0;
  std::size_t shared = 0;
  int row_tiles = 0, token_tiles = 0;
  int clusters = 0;  ///< of the grid
  /// What does not fill a last round of the GPU is left to a second launch, whose CTAs share the K of these
  /// tiles and begin wherever the first launch leaves an SM: its PrefillTile::splits, or 0.
  int tail_splits = 0;
  double clocks = 0;
  int tiles() const { return row_tiles * token_tiles; }
  /// Of these the first launch works on.
  int whole_tiles() const { return tail_splits > 0 ? tiles() / clusters * clusters : tiles(); }
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

/// Clocks of a cut: waves of tiles, each its share of K, what surrounds a tile, and sums exchanged. Products
/// of a step take Tile::tokens / 2 clocks a warp group and overlap in part with what else the step needs. It
/// must only tell cuts apart.
template <class Tile>
double clocks_of(const PrefillCut& cut, int tiles, const PrefillShape& shape) {
  const int waves = (tiles + cut.clusters - 1) / cut.clusters;
  const double steps = (shape.blocks + Tile::splits - 1) / Tile::splits * (shape.block_cols / 16.0);
  constexpr int groups = Tile::groups * Tile::ctas;  // of an SM
  const double step = std::max(shape.step_clocks + shape.token_clocks * Tile::tokens * groups / 2,
                               groups * (shape.expand_clocks + 0.345 * Tile::tokens));
  const double exchange =
      Tile::splits > 1 ? Tile::exchange_rounds * (1000.0 + Tile::exchange_bytes / 32.0) : 0.0;
  return waves * (steps * step + 2000.0 + 12.0 * Tile::tokens + exchange);
}

template <class T, class Source, class Tile>
PrefillCut cut_for(const PrefillShape& shape, int sharers) {
  PrefillCut cut;
  cut.groups = Tile::groups;
  cut.tokens = Tile::tokens;
  cut.splits = Tile::splits;
  const int row_tiles = (shape.panels + Tile::groups - 1) / Tile::groups;
  cut.sharers = sharers;
  cut.row_tiles = (row_tiles + sharers - 1) / sharers;
  cut.token_tiles = static_cast<int>((shape.tokens + Tile::tokens - 1) / Tile::tokens);
  const DeviceLimits& limits = device_limits();
  constexpr std::size_t reserved = 1024;  // of a CTA, by the system
  choose_rings(Tile{}, cut, shape, (limits.shared_bytes + reserved) / Tile::ctas - reserved);
  if (cut.x_places == 0 || shape.blocks < Tile::splits) return cut;
  const int size = sharers * Tile::splits, ctas = limits.sms * Tile::ctas;
  // Clusters come as GPCs have room for them: on an H100 of 132 SMs all pairs fit and 30 fours, not 33.
  const int most = size <= 2 ? ctas / size : std::max(1, ctas / size * 10 / 11);
  cut.clusters = std::min(most, cut.tiles());
  cut.clocks = clocks_of<Tile>(cut, cut.tiles(), shape);
  return cut;
}

/// Calls f with every tile that there are kernels for; sources may have tiles of their own.
template <class Source, class F>
void for_each_tile_of(Source, F f) {
  f(PrefillTile<2, 256, 1>{});
  f(PrefillTile<2, 256, 2>{});
  f(PrefillTile<2, 128, 1>{});
  f(PrefillTile<2, 128, 2>{});
  f(PrefillTile<2, 128, 4>{});
}

/// Calls f with the tiles of `Whole`'s size whose K CTAs share.
template <class Source, class Whole, class F>
void for_each_tail_of(F f) {
  for_each_tile_of(Source{}, [&](auto tile) {
    using Tile = decltype(tile);
    if constexpr (Tile::splits > 1 && Tile::groups == Whole::groups && Tile::tokens == Whole::tokens) f(tile);
  });
}

/// The cheapest cut. Where CTAs may share X they do, unless that takes more rounds of the GPU (fours of CTAs
/// leave SMs idle); for equal rounds sharing is preferred.
template <class T, class Source>
PrefillCut best_prefill_cut(const PrefillShape& shape) {
  constexpr double own_x = 1.1;  // times the clocks
  PrefillCut best;
  for_each_tile_of(Source{}, [&](auto tile) {
    const bool can_share = shape.shares_x && shape.panels > decltype(tile)::groups;
    for (const int sharers : {1, 2}) {
      if (sharers == 2 && !can_share) continue;
      PrefillCut cut = cut_for<T, Source, decltype(tile)>(shape, sharers);
      if (sharers == 1 && can_share) cut.clocks *= own_x;
      if (cut.clusters > 0 && (best.clusters == 0 || cut.clocks < best.clocks)) best = cut;
      if (sharers == 2 || decltype(tile)::splits > 1 || cut.clusters == 0 || cut.tiles() <= cut.clusters)
        continue;
      for_each_tail_of<Source, decltype(tile)>([&](auto split) {
        const PrefillCut tail = cut_for<T, Source, decltype(split)>(shape, 1);
        if (tail.clusters == 0) return;
        PrefillCut with_tail = cut;
        with_tail.tail_splits = tail.splits;
        const int whole = with_tail.whole_tiles();
        with_tail.clocks = clocks_of<decltype(tile)>(cut, whole, shape) +
                           clocks_of<decltype(split)>(tail, cut.tiles() - whole, shape);
        if (can_share) with_tail.clocks *= own_x;
        if (whole < cut.tiles() && with_tail.clocks < best.clocks) best = with_tail;
      });
    }
  });
  return best;
}

/// The kernel of a tile; tiles with a loop of their own say which.
template <class T, class Source, class Tile>
inline constexpr auto prefill_kernel_of = prefill_kernel<T, Source, Tile>;

/// Launches the tiles from `first` to before `last` of a cut. @param part  of what best_prefill_cut chose
template <class T, class Source, class Tile>
int launch_prefill_tiles(const PrefillShape& shape, const typename Source::Params& source,
                         const PrefillCut& cut, int first, int last, PrefillPart part, const GpuArgs& args,
                         DType dtype) {
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
  p.band = std::min(cut.token_tiles, 8);
  p.first = first;
  p.last = last;
  p.part = part;
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
  return launch_in_clusters(prefill_kernel_of<T, Source, Tile>,
                            std::min(cut.clusters, last - first) * cluster, cluster, Tile::threads,
                            cut.shared, args.stream,
                            args.overlap || part == PrefillPart::tail || part == PrefillPart::gathering, p);
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

/// Launches the cut that best_prefill_cut (or a tuner) chose.
/// @param alone  what a launch of all tiles is
template <class T, class Source>
int launch_prefill(const PrefillShape& shape, const typename Source::Params& source, const PrefillCut& cut,
                   const GpuArgs& args, DType dtype, PrefillPart alone = PrefillPart::all) {
  int error = cudaErrorInvalidConfiguration;
  for_each_tile_of(Source{}, [&](auto tile) {
    using Tile = decltype(tile);
    if (cut.clusters == 0 || cut.groups != Tile::groups || cut.tokens != Tile::tokens ||
        cut.splits != Tile::splits)
      return;
    const int whole = cut.whole_tiles(), tiles = cut.tiles();
    const PrefillPart part = whole < tiles ? PrefillPart::before_tail : alone;
    error = launch_prefill_tiles<T, Source, Tile>(shape, source, cut, 0, whole, part, args, dtype);
    for_each_tail_of<Source, Tile>([&](auto split) {
      using Split = decltype(split);
      if (error == cudaSuccess && cut.tail_splits == Split::splits)
        error = launch_prefill_tiles<T, Source, Split>(shape, source, cut_for<T, Source, Split>(shape, 1),
                                                       whole, tiles, PrefillPart::tail, args, dtype);
    });
  });
  return error;
}

}  // namespace cross::kernels::cuda
