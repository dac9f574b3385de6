// Host side of the product of pairs of panels: when it pays, and its launch.
#pragma once

#include <algorithm>
#include <limits>

#include "kernels/cuda/prefill/block_pairs.cuh"
#include "kernels/cuda/prefill/launch.cuh"

namespace cross::kernels::cuda {

/// What decides whether panels work in pairs.
struct BlockPairShape {
  std::int64_t rows = 0, cols = 0;
  int pairs = 0;
  std::int64_t blocks = 0, steps = 0;
};

inline int block_pair_tiles(const BlockPairShape& shape, std::int64_t tokens) {
  constexpr std::int64_t tile = BlockPairTile::tokens;
  return static_cast<int>(std::min<std::int64_t>(shape.pairs * ((tokens + tile - 1) / tile),
                                                 std::numeric_limits<std::int32_t>::max()));
}

/// Tiles are large: they must fill the GPU more than once. And panels of a pair must share some columns: with
/// 0.90 steps a block pairs are still 12 to 25 % faster on an H200.
inline bool block_pairs_pay(const BlockPairShape& shape, const GpuArgs& args) {
  constexpr double rounds = 1.5, most_steps = 0.95;
  const bool plain = args.bias == nullptr && args.residual == nullptr && args.activation == Activation::none;
  return plain && shape.rows % 8 == 0 && reinterpret_cast<std::uintptr_t>(args.y) % 16 == 0 &&
         block_pair_tiles(shape, args.tokens) >= rounds * device_limits().sms &&
         static_cast<double>(shape.steps) < most_steps * static_cast<double>(shape.blocks) &&
         device_limits().shared_bytes >= BlockPairMemory::bytes;
}

template <class T>
int launch_block_pairs(const BlockPairShape& shape, const BlockTilesSource::Params& source,
                       const GpuArgs& args, DType dtype) {
  using Tile = BlockPairTile;
  PrefillParams<T, BlockTilesSource> p = {};
  if (const int error = encode_tokens(p.x_map, args.x, dtype, args.tokens, shape.cols, Tile::tokens);
      error != cudaSuccess)
    return error;
  if (const int error = encode_tokens(p.y_map, args.y, dtype, args.tokens, shape.rows, Tile::staged_tokens);
      error != cudaSuccess)
    return error;
  p.source = source;
  p.epilogue = {static_cast<T*>(args.y), nullptr, nullptr, shape.rows, Activation::none};
  p.x = static_cast<const T*>(args.x);
  p.cols = shape.cols;
  p.tokens = static_cast<std::int32_t>(args.tokens);
  p.row_tiles = shape.pairs;
  p.token_tiles = static_cast<std::int32_t>((args.tokens + Tile::tokens - 1) / Tile::tokens);
  // A few CTAs less, where all then have as many tiles. And bands of few token tiles, whose X is read from
  // memory once, if they are whole rounds or many of them, so that long and short tiles still come in turn.
  constexpr int narrow = 4;
  constexpr std::int64_t l2_bytes = std::int64_t{48} << 20;
  const int sms = device_limits().sms, tiles = block_pair_tiles(shape, args.tokens);
  const int rounds = (tiles + sms - 1) / sms, even = (tiles + rounds - 1) / rounds;
  const bool evens = 20 * even >= 19 * sms;
  const int ctas = evens ? even : std::min(sms, tiles), band = narrow * shape.pairs;
  const bool narrow_pays =
      band >= 2 * sms || (evens && band % ctas == 0) || 2 * args.tokens * shape.cols > l2_bytes;
  p.band = narrow_pays ? std::min(p.token_tiles, narrow) : p.token_tiles;
  return launch(block_pair_kernel<T>, ctas, Tile::threads, BlockPairMemory::bytes, args.stream, args.overlap,
                p);
}

}  // namespace cross::kernels::cuda
