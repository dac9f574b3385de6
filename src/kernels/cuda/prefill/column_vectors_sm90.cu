#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <string>

#include "kernels/cuda/device_limits.h"
#include "kernels/cuda/launch.h"
#include "kernels/cuda/prefill/at_few_tokens.h"
#include "kernels/cuda/prefill/column_vectors.cuh"
#include "kernels/cuda/prefill/padded.h"
#include "kernels/cuda/prefill/tile.cuh"
#include "kernels/cuda/rows.h"
#include "plan/formats/gpu/blob.h"

namespace cross::kernels::cuda {
namespace {

using formats::gpu::ColumnVectorsHeader;

/// What a CTA multiplies at a time.
struct VectorTile {
  int panels, sharing;  ///< of a warp, or warps to a panel
  double step_clocks;   ///< of a CTA: shared memory's; more where few lists are walked through at a time
  int tile_panels() const { return vector_warps * panels / sharing; }
};
constexpr VectorTile vector_tiles[] = {{2, 1, 25.0}, {1, 1, 33.0}, {1, 2, 35.0}, {1, 4, 37.0}};

std::int64_t row_tiles(const ColumnVectorsHeader& header, const VectorTile& tile) {
  return (header.panels + tile.tile_panels() - 1) / tile.tile_panels();
}

/// Clocks of the busiest SM: its steps and what bringing a column takes of shared memory besides, or bringing
/// alone where there are few steps (docs/gpu/column_vectors.md).
double predicted_clocks(const ColumnVectorsHeader& header, std::int64_t tokens, const VectorTile& tile) {
  constexpr double begin_and_end = 6400.0, column_alone = 2.6, column_beside = 1.2;
  const auto tiles = static_cast<double>(row_tiles(header, tile) * transposed_blocks(tokens));
  const double rounds = std::ceil(tiles / device_limits().sms);
  const auto cols = static_cast<double>(header.cols);
  const double steps =
      static_cast<double>(header.steps) / static_cast<double>(header.panels) * tile.tile_panels();
  return rounds *
         (begin_and_end + std::max(column_alone * cols, column_beside * cols + tile.step_clocks * steps));
}

const VectorTile& best_tile(const ColumnVectorsHeader& header, std::int64_t tokens) {
  const VectorTile* best = nullptr;
  double least = std::numeric_limits<double>::max();
  for (const VectorTile& tile : vector_tiles)
    if (const double clocks = predicted_clocks(header, tokens, tile); clocks < least) {
      best = &tile;
      least = clocks;
    }
  return *best;
}

/// The ring and what the sums of 16 tokens take, or the sums of warps that share panels.
std::size_t shared_bytes(const ColumnVectorsHeader& header) {
  constexpr std::size_t aligned = 1024, shared_sums = std::size_t{vector_threads} * 128;
  const std::size_t ring =
      std::size_t{vector_places} * static_cast<std::size_t>(header.block_cols) * transposed_column_bytes;
  return aligned + std::max(ring + vector_warps * std::size_t{staged_bytes<2>}, shared_sums);
}

std::string refuses(const PackedMatrix& matrix, std::int64_t tokens, std::size_t shared) {
  const auto header = formats::gpu::read_header<ColumnVectorsHeader>(matrix.host);
  constexpr std::size_t barriers = 1024;
  if (shared_bytes(header) + barriers > shared) return "its ring does not fit into shared memory";
  return row_tiles(header, vector_tiles[std::size(vector_tiles) - 1]) * transposed_blocks(tokens) <=
                 std::numeric_limits<std::int32_t>::max()
             ? std::string()
             : "it has more than 2^31 tiles";
}

/// Scratch: x with rows that begin at multiples of 16 bytes where they do not, then x, column by column.
std::size_t scratch(const PackedMatrix& matrix, std::int64_t tokens) {
  const auto header = formats::gpu::read_header<ColumnVectorsHeader>(matrix.host);
  return behind_padded(tokens, header.cols) + transposed_bytes(tokens, padded_cols(header.cols));
}

template <class T>
int launch_tile(const ColumnVectorsHeader& header, const VectorTile& tile, ColumnVectorsParams<T> p,
                const GpuArgs& args) {
  p.row_tiles = static_cast<int>(row_tiles(header, tile));
  p.all_tiles = p.row_tiles * static_cast<int>(transposed_blocks(args.tokens));
  const int blocks = tile.sharing > 1 ? p.all_tiles : std::min(p.all_tiles, device_limits().sms);
  const auto kernel = tile.panels == 2    ? column_vectors_kernel<T, 2, 1>
                      : tile.sharing == 1 ? column_vectors_kernel<T, 1, 1>
                      : tile.sharing == 2 ? column_vectors_kernel<T, 1, 2>
                                          : column_vectors_kernel<T, 1, 4>;
  constexpr bool with_transposing = true;  // starts while x is transposed
  return launch(kernel, blocks, vector_threads, shared_bytes(header), args.stream, with_transposing, p);
}

template <class T>
int launch_typed(const PackedMatrix& matrix, GpuArgs args) {
  const auto header = formats::gpu::read_header<ColumnVectorsHeader>(matrix.host);
  ColumnVectorsParams<T> p{};
  p.cols = padded_cols(header.cols);
  std::byte* const columns = args.workspace + behind_padded(args.tokens, header.cols);
  if (p.cols != header.cols) {
    if (const int error = enqueue_padded(args.x, args.workspace, args.tokens, header.cols, args.stream);
        error != cudaSuccess)
      return error;
    args.x = args.workspace;
    args.overlap = false;  // that kernel must have ended
  }
  constexpr const std::uint32_t* all_columns = nullptr;
  if (const int error = enqueue_transposed(args.x, columns, all_columns, ColumnUnits::spread, args.tokens,
                                           p.cols, args.stream, args.overlap);
      error != cudaSuccess)
    return error;
  p.columns = columns;
  p.begin = reinterpret_cast<const std::uint32_t*>(matrix.device + header.begin);
  p.place = reinterpret_cast<const std::uint16_t*>(matrix.device + header.place);
  p.weights = matrix.device + header.weights;
  p.x = static_cast<const T*>(args.x);
  p.out = {static_cast<T*>(args.y), args.bias, static_cast<const T*>(args.residual), header.rows,
           args.activation};
  p.tokens = args.tokens;
  p.panels = header.panels;
  p.blocks = header.blocks;
  p.block_cols = header.block_cols;
  p.steps = header.steps;
  return launch_tile(header, best_tile(header, args.tokens), p, args);
}

int launch_product(const PackedMatrix& matrix, const GpuArgs& args) {
  if (args.tokens == 0) return cudaSuccess;
  return matrix.dtype == DType::bf16 ? launch_typed<__nv_bfloat16>(matrix, args)
                                     : launch_typed<__half>(matrix, args);
}

}  // namespace

GpuKernel column_vectors_sm90() {
  return prefill_at_any_tokens<refuses, scratch, launch_product>(Format::column_vectors, 64,
                                                                 prefill_most_tokens);
}

}  // namespace cross::kernels::cuda
