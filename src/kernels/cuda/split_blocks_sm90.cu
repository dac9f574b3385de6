// Host side of split_blocks: the tile for a product, launch.
#include <cuda_runtime_api.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <string>

#include "kernels/cuda/device_limits.h"
#include "kernels/cuda/launch.h"
#include "kernels/cuda/rows.h"
#include "kernels/cuda/split_blocks.cuh"
#include "kernels/cuda/split_blocks_wide.h"
#include "plan/formats/gpu/blob.h"

namespace cross::kernels::cuda {
namespace {

using namespace split_blocks;

/// A tile, and what it takes in µs: a launch, every doubling of the CTAs of a cluster, and every block of a K
/// group with one CTA an SM, and how much more with each further one. Measured on an H200 from 512x512 to
/// 4096x1024; only their ratios matter.
struct Shape {
  int rows, tokens, k_groups, threads, ctas_an_sm;
  bool flushes;
  std::uint32_t shared_bytes;
  void (*kernel)(Params);
  double launch_us, doubling_us, block_us, sharing_us;
};

template <class T>
constexpr Shape shape_of(double launch_us, double doubling_us, double block_us, double sharing_us = 0) {
  return {T::rows,         T::tokens, T::k_groups, T::threads,  T::ctas_an_sm, T::flushes,
          T::shared_bytes, kernel<T>, launch_us,   doubling_us, block_us,      sharing_us};
}

constexpr std::array shapes = {
    shape_of<Tile<64, 1, 1, false, 3>>(2.34, 0.45, 1.22, 0.32),
    shape_of<Tile<64, 1, 2, false>>(3.05, 0.05, 1.55),
    shape_of<Tile<64, 1, 2, true>>(4.78, 0.05, 1.42),
    shape_of<Tile<128, 1, 2, false>>(3.83, 0.05, 1.98),
    shape_of<Tile<128, 1, 2, true>>(3.65, 0.28, 2.16),
};
/// Columns that tensor cores may add up by themselves, in blocks.
constexpr int most_blocks_unflushed = 5;
/// A launch has at most so many blocks along y.
constexpr std::int64_t most_row_tiles = 65535;

struct Choice {
  const Shape* shape = nullptr;  ///< nullptr: split_blocks_wide
  int splits = 1;
};

/// How much longer blocks take that keep much: block_us was measured at 80 % and sparser.
double filling(const SplitBlocksHeader& h) {
  return std::max(1.0, 0.75 + split_blocks_wide::entries_a_block(h) / 5500);
}

/// Clusters of so many CTAs do not use every SM: they must fit into a GPC.
int sms_for(int splits, int sms) { return splits <= 2 ? sms : splits == 4 ? sms * 10 / 11 : sms * 17 / 20; }

/// What takes the least predicted time: a tile and a split of K, or the kernel for large products.
Choice choose(const SplitBlocksHeader& h, std::int64_t tokens, int sms) {
  Choice best;
  double least = split_blocks_wide::predicted_us(h, tokens, sms);
  const double fill = filling(h);
  for (const Shape& shape : shapes)
    for (const int splits : {1, 2, 4, 8}) {
      if (splits > 1 && splits * shape.k_groups > h.k_blocks) continue;
      const std::int64_t blocks = (h.k_blocks + splits * shape.k_groups - 1) / (splits * shape.k_groups);
      if (shape.flushes != (blocks > most_blocks_unflushed)) continue;
      const std::int64_t row_tiles = (h.rows + shape.rows - 1) / shape.rows;
      if (row_tiles > most_row_tiles) continue;
      const std::int64_t clusters = row_tiles * ((tokens + shape.tokens - 1) / shape.tokens);
      const std::int64_t at_once = std::max(1, sms_for(splits, sms) / splits * shape.ctas_an_sm);
      const std::int64_t rounds = (clusters + at_once - 1) / at_once;
      const std::int64_t sharing =
          std::min<std::int64_t>(shape.ctas_an_sm, (clusters * splits + sms - 1) / sms);
      const double us =
          static_cast<double>(rounds) *
          (shape.launch_us + shape.doubling_us * std::countr_zero(static_cast<unsigned>(splits)) +
           static_cast<double>(blocks) * fill *
               (shape.block_us + shape.sharing_us * static_cast<double>(sharing - 1)));
      if (us < least) least = us, best = {&shape, splits};
    }
  return best;
}

SplitBlocksHeader header_of(const PackedMatrix& matrix) {
  return read_header<SplitBlocksHeader>(matrix.host);
}

std::string refuses(const PackedMatrix&, std::int64_t tokens, std::size_t shared_bytes) {
  if (tokens > split_max_tokens) return "split_blocks takes at most 1024 tokens";
  for (const Shape& shape : shapes)
    if (shape.shared_bytes > shared_bytes) return "split_blocks needs more shared memory than this GPU has";
  if (split_blocks_wide::shared_memory() > shared_bytes)
    return "split_blocks needs more shared memory than this GPU has";
  return {};
}

std::size_t workspace(const PackedMatrix& matrix, std::int64_t tokens) {
  if (tokens < 1) return 0;
  const SplitBlocksHeader h = header_of(matrix);
  const int sms = device_limits().sms;
  return choose(h, tokens, sms).shape != nullptr ? 0 : split_blocks_wide::workspace(h, tokens, sms);
}

int launch_choice(const PackedMatrix& matrix, const GpuArgs& args, const Choice& choice) {
  const SplitBlocksHeader h = header_of(matrix);
  const Shape& shape = *choice.shape;
  Params p;
  p.begin = reinterpret_cast<const std::uint32_t*>(matrix.device + h.begin);
  p.row_exponents = reinterpret_cast<const std::int32_t*>(matrix.device + h.exponents);
  p.parts = reinterpret_cast<const uint4*>(matrix.device + h.parts);
  p.places = reinterpret_cast<const uint2*>(matrix.device + h.places);
  p.x = static_cast<const float*>(args.x);
  p.epilogue = {static_cast<float*>(args.y), args.bias, static_cast<const float*>(args.residual), h.rows,
                args.activation};
  p.cols = h.cols;
  p.tokens = static_cast<std::int32_t>(args.tokens);
  p.k_blocks = h.k_blocks;
  p.split_bits = std::countr_zero(static_cast<unsigned>(choice.splits));
  p.aligned = h.cols % 4 == 0 && reinterpret_cast<std::uintptr_t>(args.x) % 16 == 0;
  p.overlap = args.overlap;
  const std::uint64_t lists = h.lists();
  p.aboard = lists <= split_lists_aboard;
  if (p.aboard) std::memcpy(p.begin_aboard, matrix.host.data() + h.begin, 4 * (lists + 1));
  const dim3 ctas(static_cast<unsigned>(choice.splits),
                  static_cast<unsigned>((h.rows + shape.rows - 1) / shape.rows),
                  static_cast<unsigned>((p.tokens + shape.tokens - 1) / shape.tokens));
  return launch_grid(shape.kernel, ctas, choice.splits, shape.threads, shape.shared_bytes, args.stream,
                     args.overlap, p);
}

int launch_split_blocks(const PackedMatrix& matrix, const GpuArgs& args) {
  if (args.tokens == 0) return cudaSuccess;
  const SplitBlocksHeader h = header_of(matrix);
  const int sms = device_limits().sms;
  const Choice choice = choose(h, args.tokens, sms);
  return choice.shape != nullptr ? launch_choice(matrix, args, choice)
                                 : split_blocks_wide::launch(h, matrix, args, sms);
}

}  // namespace

GpuKernel split_blocks_sm90() {
  return {Format::split_blocks, "sm90", split_max_tokens, refuses, workspace, launch_split_blocks, nullptr};
}

}  // namespace cross::kernels::cuda
