// Products of block_tiles matrices, few tokens and many: limits and launch.
#pragma once

#include <string>

#include "kernels/cuda/prefill/block_pairs_launch.cuh"
#include "kernels/cuda/prefill/launch.cuh"
#include "plan/formats/gpu/blob.h"

namespace cross::kernels::cuda {

/// Where pairs of panels do not pay: one panel a CTA, whose blocks are its own, and two CTAs share an SM. 192
/// tokens are 0 to 25 % slower than 128: rings of three places are too short.
template <class F>
void for_each_tile_of(BlockTilesSource, F f) {
  f(PrefillTile<1, 128, 1>{});
  f(PrefillTile<1, 64, 1>{});
}

inline PrefillShape block_tiles_shape(const formats::gpu::BlockTilesHeader& header, std::int64_t tokens) {
  PrefillShape shape;
  shape.rows = header.rows;
  shape.cols = header.cols;
  shape.tokens = tokens;
  shape.panels = header.panels;
  shape.blocks = header.blocks / header.panels + 1;
  shape.block_cols = BlockTilesSource::block_cols;
  shape.place_bytes = formats::gpu::block_tiles_block_bytes;
  shape.shares_x = false;
  shape.shares_tiles = false;
  return shape;
}

inline std::string block_tiles_refuses(const PackedMatrix& matrix, std::int64_t tokens, std::size_t) {
  const auto header = formats::gpu::read_header<formats::gpu::BlockTilesHeader>(matrix.host);
  return prefill_refuses<BlockTilesSource>(block_tiles_shape(header, tokens));
}

inline std::size_t block_tiles_scratch(const PackedMatrix& matrix, std::int64_t tokens) {
  return padded_bytes(tokens, formats::gpu::read_header<formats::gpu::BlockTilesHeader>(matrix.host).cols);
}

template <class T>
int block_tiles_launch_typed(const PackedMatrix& matrix, GpuArgs args) {
  const auto header = formats::gpu::read_header<formats::gpu::BlockTilesHeader>(matrix.host);
  PrefillShape shape = block_tiles_shape(header, args.tokens);
  if (const int error = pad_activations(args, shape); error != cudaSuccess) return error;
  BlockTilesSource::Params source;
  source.order = reinterpret_cast<const std::uint32_t*>(matrix.device + header.order);
  source.begin = reinterpret_cast<const std::uint32_t*>(matrix.device + header.begin);
  source.column_of = reinterpret_cast<const std::uint32_t*>(matrix.device + header.column);
  source.first_step = reinterpret_cast<const std::uint32_t*>(matrix.device + header.first_step);
  source.step = reinterpret_cast<const std::uint32_t*>(matrix.device + header.step);
  source.values = matrix.device + header.values;
  source.panels = header.panels;
  source.place_bytes = shape.place_bytes;
  const BlockPairShape pairs{shape.rows, shape.cols, header.pairs(), header.blocks, header.steps};
  if (block_pairs_pay(pairs, args)) return launch_block_pairs<T>(pairs, source, args, matrix.dtype);
  return launch_prefill<T, BlockTilesSource>(shape, source, best_prefill_cut<BlockTilesSource>(shape), args,
                                             matrix.dtype);
}

inline int block_tiles_launch(const PackedMatrix& matrix, const GpuArgs& args) {
  if (args.tokens == 0) return cudaSuccess;
  return matrix.dtype == DType::bf16 ? block_tiles_launch_typed<__nv_bfloat16>(matrix, args)
                                     : block_tiles_launch_typed<__half>(matrix, args);
}

}  // namespace cross::kernels::cuda
