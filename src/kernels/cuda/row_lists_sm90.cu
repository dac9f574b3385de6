// Host side of row_lists: the tile for a product, launch.
#include <cuda_runtime_api.h>

#include <algorithm>
#include <array>
#include <bit>
#include <string>

#include "kernels/cuda/device_limits.h"
#include "kernels/cuda/launch.h"
#include "kernels/cuda/row_lists.cuh"
#include "kernels/cuda/rows.h"
#include "plan/formats/gpu/blob.h"

namespace cross::kernels::cuda {
namespace {

using namespace row_lists;

struct Shape {
  std::int32_t panels;
  void (*narrow)(Params);  ///< blocks of at most Columns::half_cols columns
  void (*wide)(Params);
  std::size_t (*shared_bytes)(int split_bits, int block_cols);
};
template <int panels>
constexpr Shape shape_of() {
  return {panels, kernel<Tile<panels>, false>, kernel<Tile<panels>, true>, Tile<panels>::shared_bytes};
}
constexpr std::array shapes = {shape_of<1>(), shape_of<2>(), shape_of<4>(), shape_of<8>()};
/// A launch has at most so many blocks along y.
constexpr std::int64_t most_row_tiles = 65535;

/// Clusters of so many CTAs do not use every SM: they must fit into a GPC.
int sms_for(int split_bits, int sms) { return split_bits < 2 ? sms : sms * 10 / 11; }

/// Clocks of a CTA, measured on an H200: a launch and its end, a block, a column of x, a step of a list, a
/// row whose sums are stored, a row whose sums are exchanged.
struct Clocks {
  double launch = 3000, block = 2200, column = 3.3, step = 11, row = 9, exchange = 1500, exchanged_row = 9;
};

double predicted_clocks(const RowListsHeader& h, std::int64_t tokens, const Shape& shape, int split_bits,
                        int sms) {
  constexpr Clocks clocks;
  const int splits = 1 << split_bits;
  const std::int64_t row_tiles = (h.panels + shape.panels - 1) / shape.panels;
  const std::int64_t clusters = row_tiles * ((tokens + tile_tokens - 1) / tile_tokens);
  const std::int64_t at_once = std::max(1, sms_for(split_bits, sms) / splits);
  const std::int64_t rounds = (clusters + at_once - 1) / at_once;
  const auto blocks = static_cast<double>((h.blocks + splits - 1) / splits);
  const double rows = static_cast<double>(row_list_rows) * shape.panels;
  const double steps = static_cast<double>(h.steps) / h.panels * shape.panels * blocks / h.blocks;
  const double cta = blocks * (clocks.block + clocks.column * h.block_cols) + clocks.step * steps +
                     clocks.row * rows +
                     (split_bits > 0 ? clocks.exchange + clocks.exchanged_row * rows : 0.0);
  return clocks.launch + static_cast<double>(rounds) * cta;
}

struct Choice {
  const Shape* shape = nullptr;
  int split_bits = 0;
};

/// The tile and the split of K with the least predicted time, among those that fit.
Choice choose(const RowListsHeader& h, std::int64_t tokens, int sms, std::size_t shared_bytes) {
  Choice best;
  double least = 0;
  for (const Shape& shape : shapes)
    for (const int split_bits : {0, 1, 2}) {
      if (h.blocks < 1 << split_bits || (h.panels + shape.panels - 1) / shape.panels > most_row_tiles ||
          shape.shared_bytes(split_bits, h.block_cols) > shared_bytes)
        continue;
      const double clocks = predicted_clocks(h, tokens, shape, split_bits, sms);
      if (best.shape == nullptr || clocks < least) least = clocks, best = {&shape, split_bits};
    }
  return best;
}

RowListsHeader header_of(const PackedMatrix& matrix) { return read_header<RowListsHeader>(matrix.host); }

std::string refuses(const PackedMatrix& matrix, std::int64_t tokens, std::size_t shared_bytes) {
  if (tokens > row_lists_max_tokens) return "row_lists takes at most 1024 tokens";
  if (choose(header_of(matrix), tokens, 132, shared_bytes).shape == nullptr)
    return "row_lists needs more shared memory than this GPU has, or the matrix has too many rows";
  return {};
}

std::size_t workspace(const PackedMatrix&, std::int64_t) { return 0; }

int launch_choice(const PackedMatrix& matrix, const GpuArgs& args, const Choice& choice) {
  const RowListsHeader h = header_of(matrix);
  Params p;
  p.granules = reinterpret_cast<const std::uint32_t*>(matrix.device + h.granules);
  p.order = matrix.device + h.order;
  p.begin = reinterpret_cast<const std::uint32_t*>(matrix.device + h.begin);
  p.entries = matrix.device + h.entries;
  p.x = static_cast<const float*>(args.x);
  p.epilogue = {static_cast<float*>(args.y), args.bias, static_cast<const float*>(args.residual), h.rows,
                args.activation};
  p.cols = h.cols;
  p.tokens = static_cast<std::int32_t>(args.tokens);
  p.panels = h.panels;
  p.blocks = h.blocks;
  p.block_cols = h.block_cols;
  p.split_bits = choice.split_bits;
  p.aligned = h.cols % 4 == 0 && reinterpret_cast<std::uintptr_t>(args.x) % 16 == 0;
  const int splits = 1 << choice.split_bits;
  const dim3 ctas(static_cast<unsigned>(splits),
                  static_cast<unsigned>((h.panels + choice.shape->panels - 1) / choice.shape->panels),
                  static_cast<unsigned>((args.tokens + tile_tokens - 1) / tile_tokens));
  const auto kernel = h.block_cols <= static_cast<int>(Columns::half_cols) && h.blocks == 1
                          ? choice.shape->narrow
                          : choice.shape->wide;
  return launch_grid(kernel, ctas, splits, static_cast<int>(threads),
                     choice.shape->shared_bytes(choice.split_bits, h.block_cols), args.stream, args.overlap,
                     p);
}

int launch_row_lists(const PackedMatrix& matrix, const GpuArgs& args) {
  if (args.tokens == 0) return cudaSuccess;
  const DeviceLimits& limits = device_limits();
  return launch_choice(matrix, args, choose(header_of(matrix), args.tokens, limits.sms, limits.shared_bytes));
}

}  // namespace

GpuKernel row_lists_sm90() {
  return {Format::row_lists, "sm90", row_lists_max_tokens, refuses, workspace, launch_row_lists, nullptr};
}

}  // namespace cross::kernels::cuda
