// Host side of bitmap_planes: how the work is cut, limits, workspace, launch. Included by
// bitmap_planes_sm80.cu and bitmap_planes_sm90.cu, which set CROSS_GPU_ARCH and CROSS_GPU_WARP_GROUPS
// (whether there is wgmma).
#pragma once

#include <cuda_runtime_api.h>

#include <algorithm>
#include <string>

#include "kernels/cuda/bitmap_planes.cuh"
#include "kernels/cuda/bitmap_planes_expand.cuh"
#include "kernels/cuda/launch.h"
#include "plan/formats/gpu/blob.h"

namespace cross::kernels::cuda::CROSS_GPU_ARCH {

using formats::gpu::BitmapPlanesHeader;

inline BitmapPlanesHeader bitmap_planes_header(const PackedMatrix& matrix) {
  return formats::gpu::read_header<BitmapPlanesHeader>(matrix.host);
}

/// How one launch cuts the matrix; depth 0 where it does not fit.
struct BitmapCut {
  int groups = 0, parts = 0, slices = 0, depth = 0;
  std::uint32_t place_bytes = 0, x_chunks = 0;
  std::size_t shared = 0;
};

/// The cut into `slices` ranges of K.
template <class Tile>
BitmapCut bitmap_cut(const BitmapPlanesHeader& h, int slices, int max_depth) {
  BitmapCut cut;
  cut.slices = slices;
  cut.groups = h.tiles / Tile::group_tiles;
  cut.parts = std::min(cut.groups, h.sms / slices);
  cut.place_bytes = (h.max_block_bytes + 127) / 128 * 128;
  const int blocks = (h.k_blocks + slices - 1) / slices;
  cut.x_chunks = static_cast<std::uint32_t>(blocks * bitmap_planes_cols / ResidentActivations::chunk_columns);
  const std::size_t fixed =
      Tile::fixed_bytes +
      ResidentActivations::bytes(std::int64_t{blocks} * bitmap_planes_cols, Tile::eights * 8);
  const std::size_t room = h.shared_bytes;
  const std::size_t ring_row = std::size_t{Tile::warps} * Tile::row_tiles * cut.place_bytes;
  if (cut.parts < 1 || fixed + 2 * ring_row > room) return cut;
  cut.depth = static_cast<int>(std::min<std::size_t>((room - fixed) / ring_row, max_depth));
  cut.shared = fixed + static_cast<std::size_t>(cut.depth) * ring_row;
  return cut;
}

/// What a cut costs, in clocks of an SM: the units of the CTA that has most, what every tile costs when it is
/// finished, and X on its way. Fitted to an H100, N = 1 … 64: it must only tell numbers of slices apart.
template <class Tile>
double bitmap_cut_clocks(const BitmapPlanesHeader& h, const BitmapCut& cut) {
  const int groups = (cut.groups + cut.parts - 1) / cut.parts;
  const int blocks = (h.k_blocks + cut.slices - 1) / cut.slices;
  const double unit = (100.0 + 12.0 * Tile::eights) * Tile::group_tiles;
  const double partial = cut.slices > 1 ? (100.0 + 200.0 * Tile::eights) * Tile::group_tiles : 0.0;
  const double fixed = cut.slices > 1 ? 3000.0 : 0.0;
  const double x = bitmap_planes_cols * 2.0 * 8 * Tile::eights / 20;
  return groups * (blocks * unit + partial) + blocks * x + fixed;
}

/// The cut that a launch uses. Rings hold two blocks a warp, or three where those are small: deeper ones
/// delay X.
template <class Tile>
BitmapCut bitmap_best_cut(const BitmapPlanesHeader& h) {
  BitmapCut best;
  double least = 0.0;
  int tried = 0;
  for (int slices = 1; slices <= std::min(h.sms, h.k_blocks) && tried < 16; ++slices) {
    const BitmapCut cut = bitmap_cut<Tile>(h, slices, h.max_block_bytes <= 1536 ? 3 : 2);
    if (cut.depth == 0) continue;
    ++tried;
    const double clocks = bitmap_cut_clocks<Tile>(h, cut);
    if (best.depth > 0 && clocks >= least) continue;
    best = cut;
    least = clocks;
  }
  return best;
}

/// Calls f with the tile that serves `tokens`. At 32 tokens mma is faster up to about 55 % sparsity, where
/// memory bounds both, wgmma beyond.
template <class F>
auto with_bitmap_tile(const BitmapPlanesHeader& h, std::int64_t tokens, F f) {
  if (tokens <= 8) return f(BitmapTile<1, 1, 16, 1>{});
  if (tokens <= 16) return f(BitmapTile<1, 2, 16, 1>{});
  if constexpr (CROSS_GPU_WARP_GROUPS) {
    if (tokens <= 32 && h.max_block_bytes > 2304) return f(BitmapTile<1, 4, 16, 1>{});
    if (tokens <= 32) return f(BitmapTile<1, 4, 20, 4>{});
    return f(BitmapTile<1, 8, 16, 4>{});
  } else {
    if (tokens <= 32) return f(BitmapTile<2, 4, 8, 1>{});
    return f(BitmapTile<2, 8, 8, 1>{});
  }
}

inline std::string bitmap_planes_refuses(const PackedMatrix& matrix, std::int64_t tokens,
                                         std::size_t shared_bytes) {
  const BitmapPlanesHeader header = bitmap_planes_header(matrix);
  if (tokens > 64) return "more than 64 tokens: the weights are expanded for the dense library";
  if (shared_bytes < header.shared_bytes)
    return "packed for " + std::to_string(header.shared_bytes) +
           " bytes of shared memory per block, this GPU has " + std::to_string(shared_bytes);
  return with_bitmap_tile(header, tokens, [&](auto tile) {
    return bitmap_best_cut<decltype(tile)>(header).depth > 0 ? std::string()
                                                             : "its rows of X do not fit into shared memory";
  });
}

/// Bytes of partial sums and of cut tiles that need global memory.
template <class Tile>
std::pair<std::size_t, std::size_t> bitmap_scratch(const BitmapCut& cut) {
  const auto slices = static_cast<std::size_t>(cut.slices);
  return {
      cut.slices == 1 ? 0 : static_cast<std::size_t>(cut.groups) * Tile::together * slices * Tile::slot_bytes,
      Tile::slots_in_shared ? 0
                            : static_cast<std::size_t>(cut.parts) * slices * Tile::warps * Tile::slot_bytes};
}

inline std::size_t bitmap_planes_workspace(const PackedMatrix& matrix, std::int64_t tokens) {
  const BitmapPlanesHeader header = bitmap_planes_header(matrix);
  return with_bitmap_tile(header, std::clamp<std::int64_t>(tokens, 1, 64), [&](auto tile) {
    const auto [partial, slots] = bitmap_scratch<decltype(tile)>(bitmap_best_cut<decltype(tile)>(header));
    return partial + slots == 0 ? 0 : counter_bytes + partial + slots;
  });
}

template <class T, class Tile>
int bitmap_planes_launch_cut(const PackedMatrix& matrix, const BitmapPlanesHeader& header,
                             const BitmapCut& cut, const GpuArgs& args) {
  if (cut.depth == 0) return cudaErrorInvalidConfiguration;
  BitmapPlanesParams<T> p;
  p.index = reinterpret_cast<const std::uint32_t*>(matrix.device + header.index);
  p.blocks = matrix.device + header.blocks;
  p.x = static_cast<const T*>(args.x);
  p.counters = reinterpret_cast<std::uint32_t*>(args.workspace);
  p.partial = reinterpret_cast<float4*>(args.workspace + counter_bytes);
  p.slots = reinterpret_cast<float4*>(args.workspace + counter_bytes + bitmap_scratch<Tile>(cut).first);
  p.epilogue = {static_cast<T*>(args.y), args.bias, static_cast<const T*>(args.residual), header.rows,
                args.activation};
  p.cols = header.cols;
  p.tokens = static_cast<std::int32_t>(args.tokens);
  p.k_blocks = header.k_blocks;
  p.groups = cut.groups;
  p.group_shares = EvenShares(cut.groups, cut.parts);
  p.k_shares = EvenShares(header.k_blocks, cut.slices);
  p.slices = cut.slices;
  constexpr int counters = counter_bytes / sizeof(std::uint32_t);
  p.shares_per_counter = (cut.groups * Tile::together + counters - 1) / counters;
  p.depth = cut.depth;
  p.place_bytes = cut.place_bytes;
  p.x_chunks = cut.x_chunks;
  p.weights_first = args.overlap;
  return launch(bitmap_planes_kernel<T, Tile>, cut.parts * cut.slices, Tile::warps * 32, cut.shared,
                args.stream, args.overlap, p);
}

template <class T>
int bitmap_planes_launch_typed(const PackedMatrix& matrix, const GpuArgs& args) {
  const BitmapPlanesHeader header = bitmap_planes_header(matrix);
  return with_bitmap_tile(header, args.tokens, [&](auto tile) {
    return bitmap_planes_launch_cut<T, decltype(tile)>(matrix, header,
                                                       bitmap_best_cut<decltype(tile)>(header), args);
  });
}

inline int bitmap_planes_launch(const PackedMatrix& matrix, const GpuArgs& args) {
  if (args.tokens == 0) return cudaSuccess;
  return matrix.dtype == DType::bf16 ? bitmap_planes_launch_typed<__nv_bfloat16>(matrix, args)
                                     : bitmap_planes_launch_typed<__half>(matrix, args);
}

inline int bitmap_planes_expand(const PackedMatrix& matrix, void* out, void* stream) {
  const BitmapPlanesHeader header = bitmap_planes_header(matrix);
  BitmapExpandParams p;
  p.index = reinterpret_cast<const std::uint32_t*>(matrix.device + header.index);
  p.blocks = matrix.device + header.blocks;
  p.out = static_cast<std::uint16_t*>(out);
  p.rows = header.rows;
  p.cols = header.cols;
  p.k_blocks = header.k_blocks;
  p.count = static_cast<std::int64_t>(header.tiles) * header.k_blocks;
  const std::int64_t ctas = (p.count + bitmap_expand_warps - 1) / bitmap_expand_warps;
  return launch(bitmap_planes_expand_kernel,
                static_cast<int>(std::min<std::int64_t>(ctas, std::int64_t{header.sms} * 16)),
                bitmap_expand_warps * 32, 0, stream, false, p);
}

}  // namespace cross::kernels::cuda::CROSS_GPU_ARCH
