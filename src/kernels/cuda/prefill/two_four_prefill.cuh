// The prefill product from a two_four matrix: limits and launch.
#pragma once

#include <string>

#include "kernels/cuda/prefill/sparse_launch.cuh"
#include "kernels/cuda/prefill/two_four_source.cuh"
#include "plan/formats/gpu/blob.h"

namespace cross::kernels::cuda {

/// With few tokens the weights' way from memory bounds it: tiles of more rows read X less often, and they are
/// fewer, often one round of the GPU.
template <class F>
void for_each_tile_of(TwoFourSource, F f) {
  for_each_sparse_tile(f);
  f(SparseTile<2, 64, 2>{});
  f(SparseTile<3, 128, 1>{});
  f(SparseTile<3, 128, 2>{});
  f(SparseTile<3, 128, 4>{});
  f(SparseTile<4, 64, 1>{});
  f(SparseTile<4, 64, 2>{});
}

inline PrefillShape two_four_prefill_shape(const formats::gpu::TwoFourHeader& header, std::int64_t tokens) {
  return sparse_shape(header.rows, header.cols, tokens, header.panels, header.k_tiles);
}

inline std::string two_four_prefill_refuses(const PackedMatrix& matrix, std::int64_t tokens, std::size_t) {
  const auto header = formats::gpu::read_header<formats::gpu::TwoFourHeader>(matrix.host);
  return prefill_refuses<TwoFourSource>(two_four_prefill_shape(header, tokens));
}

inline std::size_t two_four_prefill_scratch(const PackedMatrix& matrix, std::int64_t tokens) {
  return padded_bytes(tokens, formats::gpu::read_header<formats::gpu::TwoFourHeader>(matrix.host).cols);
}

/// Decoding doubles its multiplications at 17 and 33 tokens. With a long K and few rows this product has few
/// tiles, and decoding stays ahead up to 32 (H200, docs/gpu/two_four.md).
inline bool two_four_prefill_pays(const PackedMatrix& matrix, std::int64_t tokens) {
  const auto header = formats::gpu::read_header<formats::gpu::TwoFourHeader>(matrix.host);
  return tokens > (header.cols > 2 * header.rows ? 32 : 16);
}

template <class T>
int two_four_prefill_launch_typed(const PackedMatrix& matrix, GpuArgs args) {
  const auto header = formats::gpu::read_header<formats::gpu::TwoFourHeader>(matrix.host);
  PrefillShape shape = two_four_prefill_shape(header, args.tokens);
  if (const int error = pad_activations(args, shape); error != cudaSuccess) return error;
  TwoFourSource::Params p;
  p.tiles = matrix.device + header.tiles;
  p.k_tiles = header.k_tiles;
  p.panels = header.panels;
  return launch_prefill<T, TwoFourSource>(shape, p, best_prefill_cut<TwoFourSource>(shape), args,
                                          matrix.dtype);
}

inline int two_four_prefill_launch(const PackedMatrix& matrix, const GpuArgs& args) {
  if (args.tokens == 0) return cudaSuccess;
  return matrix.dtype == DType::bf16 ? two_four_prefill_launch_typed<__nv_bfloat16>(matrix, args)
                                     : two_four_prefill_launch_typed<__half>(matrix, args);
}

}  // namespace cross::kernels::cuda
