// Products of two_four_overflow matrices, few tokens and many: limits and launch.
#pragma once

#include <limits>
#include <string>

#include "kernels/cuda/prefill/gather_columns.h"
#include "kernels/cuda/prefill/sparse_launch.cuh"
#include "kernels/cuda/prefill/two_four_overflow_source.cuh"
#include "plan/formats/gpu/blob.h"

namespace cross::kernels::cuda {

/// Tiles of 128 rows only: their further tiles are their own.
template <class F>
void for_each_tile_of(TwoFourOverflowSource, F f) {
  for_each_sparse_tile(f);
}

inline PrefillShape two_four_overflow_shape(const formats::gpu::TwoFourOverflowHeader& header,
                                            std::int64_t tokens) {
  PrefillShape shape = sparse_shape(header.rows, header.cols, tokens, header.panels, header.k_tiles);
  shape.shares_x = false;
  return shape;
}

inline std::string two_four_overflow_refuses(const PackedMatrix& matrix, std::int64_t tokens, std::size_t) {
  const auto header = formats::gpu::read_header<formats::gpu::TwoFourOverflowHeader>(matrix.host);
  const PrefillCut cut = best_prefill_cut<__nv_bfloat16, TwoFourOverflowSource>(
      two_four_overflow_shape(header, std::max<std::int64_t>(tokens, 1)));
  if (cut.clusters == 0) return "its rings do not fit into shared memory";
  if (!gather_takes(padded_cols(header.cols))) return "a token's activations do not fit into shared memory";
  return header.chunks * tokens <= std::numeric_limits<std::int32_t>::max()
             ? std::string()
             : "it gathers more than 2^31 rows of columns";
}

/// Scratch: x with rows that begin at multiples of 16 bytes where they do not, then the gathered columns.
inline std::size_t two_four_overflow_scratch(const PackedMatrix& matrix, std::int64_t tokens) {
  const auto header = formats::gpu::read_header<formats::gpu::TwoFourOverflowHeader>(matrix.host);
  return behind_padded(tokens, header.cols) + gathered_bytes(tokens, header.chunks);
}

/// Gathers columns, if any are lifted, and multiplies.
template <class T>
int two_four_overflow_launch_cut(const std::byte* device, const formats::gpu::TwoFourOverflowHeader& header,
                                 const PrefillShape& shape, const PrefillCut& cut, std::byte* gathered,
                                 GpuArgs args, DType dtype) {
  const auto list = [&](std::uint64_t offset) {
    return reinterpret_cast<const std::uint32_t*>(device + offset);
  };
  TwoFourOverflowSource::Params p{};
  p.tiles = device + header.tiles;
  p.k_tiles = header.k_tiles;
  p.panels = header.panels;
  p.column = list(header.column);
  p.begin = list(header.begin);
  p.chunk = list(header.chunk);
  p.further_tiles = device + header.further_tiles;
  auto alone = PrefillPart::all;
  if (header.chunks > 0) {
    if (const int error = enqueue_gathered(args.x, gathered, p.column, header.chunks, args.tokens, shape.cols,
                                           args.stream, args.overlap);
        error != cudaSuccess)
      return error;
    if (const int error = encode_tokens(p.gathered_map, gathered, dtype, header.chunks * args.tokens,
                                        formats::gpu::lifted_chunk_cols, cut.tokens);
        error != cudaSuccess)
      return error;
    alone = PrefillPart::gathering;
    args.overlap = true;  // with that kernel
  }
  return launch_prefill<T, TwoFourOverflowSource>(shape, p, cut, args, dtype, alone);
}

template <class T>
int two_four_overflow_launch_typed(const PackedMatrix& matrix, GpuArgs args) {
  const auto header = formats::gpu::read_header<formats::gpu::TwoFourOverflowHeader>(matrix.host);
  PrefillShape shape = two_four_overflow_shape(header, args.tokens);
  std::byte* gathered = args.workspace + behind_padded(args.tokens, header.cols);
  if (const int error = pad_activations(args, shape); error != cudaSuccess) return error;
  return two_four_overflow_launch_cut<T>(matrix.device, header, shape,
                                         best_prefill_cut<T, TwoFourOverflowSource>(shape), gathered, args,
                                         matrix.dtype);
}

inline int two_four_overflow_launch(const PackedMatrix& matrix, const GpuArgs& args) {
  if (args.tokens == 0) return cudaSuccess;
  return matrix.dtype == DType::bf16 ? two_four_overflow_launch_typed<__nv_bfloat16>(matrix, args)
                                     : two_four_overflow_launch_typed<__half>(matrix, args);
}

}  // namespace cross::kernels::cuda
