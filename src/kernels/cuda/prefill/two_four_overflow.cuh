// Products of two_four_overflow matrices, few tokens and many: limits and launch.
#pragma once

#include <string>

#include "kernels/cuda/prefill/sparse_launch.cuh"
#include "kernels/cuda/prefill/transpose_columns.h"
#include "kernels/cuda/prefill/two_four_overflow_source.cuh"
#include "plan/formats/gpu/blob.h"

namespace cross::kernels::cuda {

/// Tiles of 128 rows only, as the format's row tiles.
template <class F>
void for_each_tile_of(TwoFourOverflowSource, F f) {
  for_each_sparse_tile(f);
}

inline PrefillShape two_four_overflow_shape(const formats::gpu::TwoFourOverflowHeader& header,
                                            std::int64_t tokens) {
  PrefillShape shape = sparse_shape(header.rows, header.cols, tokens, header.panels, header.k_tiles);
  // Row tiles with further stages of their own do not keep in step, and X then comes once for each.
  constexpr std::int64_t shares_from = 1024;
  shape.shares_x = shape.shares_x || (header.further > 0 && tokens >= shares_from);
  return shape;
}

inline std::string two_four_overflow_refuses(const PackedMatrix& matrix, std::int64_t tokens, std::size_t) {
  const auto header = formats::gpu::read_header<formats::gpu::TwoFourOverflowHeader>(matrix.host);
  return prefill_refuses<TwoFourOverflowSource>(two_four_overflow_shape(header, tokens));
}

/// Scratch: x with rows that begin at multiples of 16 bytes where they do not, then x column by column.
inline std::size_t two_four_overflow_scratch(const PackedMatrix& matrix, std::int64_t tokens) {
  const auto header = formats::gpu::read_header<formats::gpu::TwoFourOverflowHeader>(matrix.host);
  return behind_padded(tokens, header.cols) +
         (header.further > 0 ? transposed_bytes(tokens, padded_cols(header.cols)) : 0);
}

/// Turns lifted columns of x, if there are any, and multiplies.
template <class T>
int two_four_overflow_launch_cut(const std::byte* device, const formats::gpu::TwoFourOverflowHeader& header,
                                 const PrefillShape& shape, const PrefillCut& cut, std::byte* columns,
                                 GpuArgs args, DType dtype) {
  TwoFourOverflowSource::Params p{};
  p.tiles = device + header.tiles;
  p.k_tiles = header.k_tiles;
  p.panels = header.panels;
  p.begin = reinterpret_cast<const std::uint32_t*>(device + header.begin);
  p.column = reinterpret_cast<const std::uint32_t*>(device + header.column);
  p.further_tiles = device + header.further_tiles;
  auto alone = PrefillPart::all;
  if (header.further > 0) {
    p.columns = columns;
    if (const int error = enqueue_transposed(
            args.x, columns, reinterpret_cast<const std::uint32_t*>(device + header.lifted),
            ColumnUnits::in_order, args.tokens, shape.cols, args.stream, args.overlap);
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
  std::byte* columns = args.workspace + behind_padded(args.tokens, header.cols);
  if (const int error = pad_activations(args, shape); error != cudaSuccess) return error;
  return two_four_overflow_launch_cut<T>(matrix.device, header, shape,
                                         best_prefill_cut<TwoFourOverflowSource>(shape), columns, args,
                                         matrix.dtype);
}

inline int two_four_overflow_launch(const PackedMatrix& matrix, const GpuArgs& args) {
  if (args.tokens == 0) return cudaSuccess;
  return matrix.dtype == DType::bf16 ? two_four_overflow_launch_typed<__nv_bfloat16>(matrix, args)
                                     : two_four_overflow_launch_typed<__half>(matrix, args);
}

}  // namespace cross::kernels::cuda
