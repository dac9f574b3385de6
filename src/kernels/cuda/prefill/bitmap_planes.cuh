// The prefill product from a bitmap_planes matrix: limits and launch.
#pragma once

#include <string>

#include "kernels/cuda/prefill/bitmap_source.cuh"
#include "kernels/cuda/prefill/launch.cuh"
#include "plan/formats/gpu/blob.h"

namespace cross::kernels::cuda {

/// Two warp groups leave their schedulers idle while they wait for what they expand. Three or four do not,
/// but have registers for 128 or 64 tokens only, so that each weight is expanded for fewer products: they win
/// up to 128 tokens.
template <class F>
void for_each_tile_of(BitmapPlanesSource, F f) {
  f(PrefillTile<2, 256, 1>{});
  f(PrefillTile<2, 256, 2>{});
  f(PrefillTile<2, 128, 1>{});
  f(PrefillTile<2, 128, 2>{});
  f(PrefillTile<3, 128, 1>{});
  f(PrefillTile<3, 128, 2>{});
  f(PrefillTile<4, 64, 1>{});
}

inline PrefillShape bitmap_prefill_shape(const formats::gpu::BitmapPlanesHeader& header,
                                         std::int64_t tokens) {
  PrefillShape shape;
  shape.rows = header.rows;
  shape.cols = header.cols;
  shape.tokens = tokens;
  shape.panels = header.tiles / formats::gpu::bitmap_planes_tiles;
  shape.blocks = header.k_blocks;
  shape.block_cols = BitmapPlanesSource::block_cols;
  shape.shares_x = false;  // 1 to 5 % slower: what expands is waited for in two CTAs
  shape.step_clocks = 200;
  shape.expand_clocks = 74;
  shape.place_bytes = (header.max_block_bytes + 31) / 32 * 32 * BitmapPlanesSource::copies;
  return shape;
}

inline BitmapPlanesSource::Params bitmap_prefill_source(const PackedMatrix& matrix,
                                                        const formats::gpu::BitmapPlanesHeader& header,
                                                        const PrefillShape& shape) {
  BitmapPlanesSource::Params p;
  p.index = reinterpret_cast<const std::uint32_t*>(matrix.device + header.index);
  p.blocks = matrix.device + header.blocks;
  p.k_blocks = header.k_blocks;
  p.panels = shape.panels;
  p.place_bytes = shape.place_bytes;
  return p;
}

inline std::string bitmap_prefill_refuses(const PackedMatrix& matrix, std::int64_t tokens, std::size_t) {
  const auto header = formats::gpu::read_header<formats::gpu::BitmapPlanesHeader>(matrix.host);
  return prefill_refuses<BitmapPlanesSource>(bitmap_prefill_shape(header, tokens));
}

/// Padded x, then sums.
inline std::size_t bitmap_prefill_scratch(const PackedMatrix& matrix, std::int64_t tokens) {
  const auto header = formats::gpu::read_header<formats::gpu::BitmapPlanesHeader>(matrix.host);
  return behind_padded(tokens, header.cols) +
         best_prefill_cut<BitmapPlanesSource>(bitmap_prefill_shape(header, tokens)).part_bytes;
}

/// Decoding doubles its multiplications at 33 tokens; on small matrices it stays ahead up to its last, 64.
/// From 2048 on the tensor cores have enough to do for expanding to cost less than it does here (H200,
/// docs/gpu/bitmap_planes.md, docs/gpu/prefill.md).
inline bool bitmap_prefill_pays(const PackedMatrix& matrix, std::int64_t tokens) {
  const auto header = formats::gpu::read_header<formats::gpu::BitmapPlanesHeader>(matrix.host);
  constexpr std::int64_t small = 1 << 25;
  const std::int64_t elements = std::int64_t{header.rows} * header.cols;
  return tokens > (elements > small ? 32 : 64) && tokens <= 2048;
}

template <class T>
int bitmap_prefill_launch_typed(const PackedMatrix& matrix, GpuArgs args) {
  const auto header = formats::gpu::read_header<formats::gpu::BitmapPlanesHeader>(matrix.host);
  PrefillShape shape = bitmap_prefill_shape(header, args.tokens);
  std::byte* parts = args.workspace + behind_padded(args.tokens, shape.cols);
  if (const int error = pad_activations(args, shape); error != cudaSuccess) return error;
  return launch_prefill<T, BitmapPlanesSource>(shape, bitmap_prefill_source(matrix, header, shape),
                                               best_prefill_cut<BitmapPlanesSource>(shape), args,
                                               matrix.dtype, PrefillPart::all, parts);
}

inline int bitmap_prefill_launch(const PackedMatrix& matrix, const GpuArgs& args) {
  if (args.tokens == 0) return cudaSuccess;
  return matrix.dtype == DType::bf16 ? bitmap_prefill_launch_typed<__nv_bfloat16>(matrix, args)
                                     : bitmap_prefill_launch_typed<__half>(matrix, args);
}

}  // namespace cross::kernels::cuda
