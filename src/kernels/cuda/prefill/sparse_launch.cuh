// What the launch of the prefill product asks about sparse tiles.
#pragma once

#include "kernels/cuda/prefill/launch.cuh"
#include "kernels/cuda/prefill/sparse_product.cuh"

namespace cross::kernels::cuda {

/// One ring, as deep as it can be; `x_places` are its places.
template <int groups, int tokens, int splits>
void choose_rings(SparseTile<groups, tokens, splits>, PrefillCut& cut, const PrefillShape&,
                  std::size_t room) {
  using Tile = SparseTile<groups, tokens, splits>;
  const std::size_t fixed = Tile::staging_bytes + Tile::exchange_bytes + Tile::barriers * 8;
  cut.x_places = std::min<int>(static_cast<int>((room - fixed) / Tile::place_bytes), prefill_most_places);
  if (cut.x_places < 2) cut.x_places = 0;
  cut.shared = fixed + static_cast<std::size_t>(cut.x_places) * Tile::place_bytes;
}

template <class T, class Source, int groups, int tokens, int splits>
inline constexpr auto prefill_kernel_of<T, Source, SparseTile<groups, tokens, splits>> =
    sparse_kernel<T, Source, SparseTile<groups, tokens, splits>>;

/// What the launch must know of products by sparse tiles. Clocks are fitted on an H200: a stage of 64 columns
/// takes 395, 460 and 660 with 128 rows and 64, 128 and 256 tokens.
inline PrefillShape sparse_shape(std::int64_t rows, std::int64_t cols, std::int64_t tokens, int panels,
                                 int k_tiles) {
  PrefillShape shape;
  shape.rows = rows;
  shape.cols = cols;
  shape.tokens = tokens;
  shape.panels = panels;
  shape.blocks = k_tiles;
  shape.block_cols = formats::gpu::two_four_cols;
  shape.weight_bytes = formats::gpu::two_four_tile_bytes;
  shape.step_clocks = 77;
  shape.token_clocks = 0.345;
  shape.group_clocks = 4;
  shape.busy_clocks = 0.32;
  // CTAs whose X does not all stay in L2 share it: 8 % faster at 4096 tokens, 2 at 2048. With fewer it is
  // slower, above all without a launch for the last round.
  constexpr std::int64_t shares_from = 2048;
  shape.shares_x = tokens >= shares_from;
  return shape;
}

/// Calls f with every sparse tile that there are kernels for.
template <class F>
void for_each_sparse_tile(F f) {
  f(SparseTile<2, 256, 1>{});
  f(SparseTile<2, 256, 2>{});
  f(SparseTile<2, 256, 4>{});
  f(SparseTile<2, 128, 1>{});
  f(SparseTile<2, 128, 2>{});
  f(SparseTile<2, 128, 4>{});
}

}  // namespace cross::kernels::cuda
