// Products of two_four_overflow matrices, few tokens and many: limits and launch.
#pragma once

#include <string>

#include "kernels/cuda/prefill/sparse_launch.cuh"
#include "kernels/cuda/prefill/transpose_columns.h"
#include "kernels/cuda/prefill/two_four_overflow_source.cuh"
#include "plan/formats/gpu/blob.h"

namespace cross::kernels::cuda {

/// Tiles of 192 rows have the further stages of two row tiles of the format, half of which their panels have
/// no part in, and need not have as many as the tile beside.
template <class F>
void for_each_tile_of(TwoFourOverflowSource, F f) {
  for_each_sparse_tile(f);
  f(SparseTile<2, 64, 2>{});
  f(SparseTile<3, 128, 1>{});
  f(SparseTile<3, 128, 2>{});
  f(SparseTile<3, 128, 4>{});
}
template <int tokens, int splits>
inline constexpr bool may_share_x<TwoFourOverflowSource, SparseTile<3, tokens, splits>> = false;

inline PrefillShape two_four_overflow_shape(const formats::gpu::TwoFourOverflowHeader& header,
                                            std::int64_t tokens) {
  PrefillShape shape = sparse_shape(header.rows, header.cols, tokens, header.panels, header.k_tiles);
  // Row tiles with further stages of their own do not keep in step, and X then comes once for each.
  constexpr std::int64_t shares_from = 1024;
  shape.shares_x = shape.shares_x || (header.further > 0 && tokens >= shares_from);
  if (header.row_pairs > 0) shape.further_blocks = static_cast<double>(header.further) / header.row_pairs;
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

/// Who turns x column by column: a kernel in front, or the product's CTAs together, each before it
/// multiplies.
enum class ColumnsTurnedBy { kernel_in_front, product };

/// CTAs of the launch of the tiles before the tail, or of all, and of the tail.
struct TwoFourOverflowCtas {
  int first = 0, tail = 0;
  TwoFourOverflowCtas(const PrefillShape& shape, const PrefillCut& cut) {
    using Source = TwoFourOverflowSource;
    for_each_tile_of(Source{}, [&](auto tile) {
      using Tile = decltype(tile);
      if (cut.groups != Tile::groups || cut.tokens != Tile::tokens || cut.splits != Tile::splits) return;
      first = prefill_ctas<Tile>(cut, cut.tail_splits > 0 ? cut.whole_tiles : cut.tiles());
      for_each_tail_of<Source, Tile>([&](auto split) {
        using Split = decltype(split);
        if (cut.tail_splits != Split::splits) return;
        const PrefillCut last = cut_for<Source, Split>(shape, 1, device_limits());
        tail = prefill_ctas<Split>(last, last.tiles() - cut.tail_first);
      });
    });
  }
};

/// Of few tokens the product's warps turn x before the first further stage needs it. Of many it would wait
/// for them, and a kernel in front is faster; CTAs in step would wait for each other besides.
inline ColumnsTurnedBy two_four_overflow_turned_by(const PrefillShape& shape, const PrefillCut& cut) {
  constexpr std::int64_t most_units = 28;  // of a CTA: 22 gain up to a tenth, 43 lose 4 %
  const std::int64_t units = transposed_blocks(shape.tokens) * transposed_strips(shape.cols);
  return cut.sharers == 1 && units <= most_units * TwoFourOverflowCtas(shape, cut).first
             ? ColumnsTurnedBy::product
             : ColumnsTurnedBy::kernel_in_front;
}

/// Has lifted columns of x turned, if there are any, and multiplies.
template <class T>
int two_four_overflow_launch_cut(const std::byte* device, const formats::gpu::TwoFourOverflowHeader& header,
                                 const PrefillShape& shape, const PrefillCut& cut, std::byte* columns,
                                 ColumnsTurnedBy turned_by, GpuArgs args, DType dtype) {
  TwoFourOverflowSource::Params p{};
  p.tiles = device + header.tiles;
  p.k_tiles = header.k_tiles;
  p.panels = header.panels;
  p.begin = reinterpret_cast<const std::uint32_t*>(device + header.begin);
  p.column = reinterpret_cast<const std::uint32_t*>(device + header.column);
  p.lifted = reinterpret_cast<const std::uint32_t*>(device + header.lifted);
  p.further_tiles = device + header.further_tiles;
  auto alone = PrefillPart::all;
  if (header.further > 0) {
    p.columns = columns;
    if (turned_by == ColumnsTurnedBy::product) {
      const TwoFourOverflowCtas ctas(shape, cut);
      // Counters: who counts at one must not hold up who looks at the other.
      constexpr int apart = 32;
      p.turning = {args.counters, args.counters + apart, ctas.first, 3 * (ctas.first + ctas.tail)};
    } else {
      if (const int error = enqueue_transposed(args.x, columns, p.lifted, ColumnUnits::in_order, args.tokens,
                                               shape.cols, args.stream, args.overlap);
          error != cudaSuccess)
        return error;
      alone = PrefillPart::gathering;
      args.overlap = true;  // with that kernel
    }
  }
  return launch_prefill<T, TwoFourOverflowSource>(shape, p, cut, args, dtype, alone);
}

template <class T>
int two_four_overflow_launch_typed(const PackedMatrix& matrix, GpuArgs args) {
  const auto header = formats::gpu::read_header<formats::gpu::TwoFourOverflowHeader>(matrix.host);
  PrefillShape shape = two_four_overflow_shape(header, args.tokens);
  std::byte* columns = args.workspace + behind_padded(args.tokens, header.cols);
  if (const int error = pad_activations(args, shape); error != cudaSuccess) return error;
  const auto cut = best_prefill_cut<TwoFourOverflowSource>(shape);
  return two_four_overflow_launch_cut<T>(matrix.device, header, shape, cut, columns,
                                         two_four_overflow_turned_by(shape, cut), args, matrix.dtype);
}

inline int two_four_overflow_launch(const PackedMatrix& matrix, const GpuArgs& args) {
  if (args.tokens == 0) return cudaSuccess;
  return matrix.dtype == DType::bf16 ? two_four_overflow_launch_typed<__nv_bfloat16>(matrix, args)
                                     : two_four_overflow_launch_typed<__half>(matrix, args);
}

}  // namespace cross::kernels::cuda
