// Host side of split_blocks_wide: workspace, launches.
#include <algorithm>

#include "kernels/cuda/launch.h"
#include "kernels/cuda/split_blocks_wide.cuh"
#include "kernels/cuda/split_blocks_wide.h"

namespace cross::kernels::cuda::split_blocks_wide {
namespace {

struct Sizes {
  std::int64_t token_tiles, k_units, units;
  int ctas;
  // Offsets from the start of the workspace.
  std::size_t exponents = counter_bytes, split_x, partials, bytes;
  Sizes(const SplitBlocksHeader& h, std::int64_t tokens, int sms)
      : token_tiles((tokens + tile_tokens - 1) / tile_tokens),
        k_units((h.k_blocks + unit_blocks - 1) / unit_blocks),
        units(token_tiles * h.panels * k_units),
        // A CTA has a counter a warp group.
        ctas(static_cast<int>(
            std::min<std::int64_t>({units, sms, static_cast<std::int64_t>(counter_bytes / 4 / groups)}))) {
    const auto tiles = static_cast<std::size_t>(token_tiles);
    split_x = exponents + tiles * tile_tokens * 4;
    partials = split_x + tiles * groups * static_cast<std::size_t>(unit_blocks * k_units) * x_block_bytes;
    bytes = partials + std::size_t{16} * multiplying * sizeof(float4) * static_cast<std::size_t>(ctas);
  }
};

}  // namespace

std::size_t shared_memory() { return shared_bytes; }

double entries_a_block(const SplitBlocksHeader& h) {
  return 4.0 * static_cast<double>(h.quads) / static_cast<double>(h.panels) / static_cast<double>(h.k_blocks);
}

/// As measured on an H200 with 4096x4096 at 50 to 90 % and 256 to 1024 tokens: multiplying bounds a unit, or
/// writing its weights. Where many CTAs share a tile, one adds their parts up.
double predicted_us(const SplitBlocksHeader& h, std::int64_t tokens, int sms) {
  const Sizes sizes(h, tokens, sms);
  const double units = static_cast<double>((sizes.units + sizes.ctas - 1) / sizes.ctas);
  const double parts =
      static_cast<double>(sizes.ctas) * static_cast<double>(sizes.k_units) / static_cast<double>(sizes.units);
  return 9.0 + 1.7e-6 * static_cast<double>(tokens) * static_cast<double>(h.cols) +
         units * std::max(2.4, 1.6 + 5.2e-4 * entries_a_block(h)) + 1.2 * std::max(0.0, parts - 2);
}

std::size_t workspace(const SplitBlocksHeader& h, std::int64_t tokens, int sms) {
  return Sizes(h, tokens, sms).bytes;
}

int launch(const SplitBlocksHeader& h, const PackedMatrix& matrix, const GpuArgs& args, int sms) {
  const Sizes sizes(h, args.tokens, sms);
  SplitParams split;
  split.x = static_cast<const float*>(args.x);
  split.split_x = args.workspace + sizes.split_x;
  split.exponents = reinterpret_cast<std::int32_t*>(args.workspace + sizes.exponents);
  split.cols = h.cols;
  split.tokens = static_cast<std::int32_t>(args.tokens);
  split.k_blocks = static_cast<std::int32_t>(unit_blocks * sizes.k_units);
  split.aligned = h.cols % 4 == 0 && reinterpret_cast<std::uintptr_t>(args.x) % 16 == 0;
  if (const int error =
          kernels::cuda::launch(split_kernel, static_cast<int>(sizes.token_tiles) * tile_tokens / 2,
                                split_threads, 0, args.stream, args.overlap, split);
      error != cudaSuccess)
    return error;
  Params p;
  p.begin = reinterpret_cast<const std::uint32_t*>(matrix.device + h.begin);
  p.row_exponents = reinterpret_cast<const std::int32_t*>(matrix.device + h.exponents);
  p.parts = reinterpret_cast<const uint4*>(matrix.device + h.parts);
  p.places = reinterpret_cast<const uint2*>(matrix.device + h.places);
  p.x = split.x;
  p.split_x = split.split_x;
  p.token_exponents = split.exponents;
  p.partials = reinterpret_cast<float4*>(args.workspace + sizes.partials);
  p.counters = reinterpret_cast<std::uint32_t*>(args.workspace);
  p.epilogue = {static_cast<float*>(args.y), args.bias, static_cast<const float*>(args.residual), h.rows,
                args.activation};
  p.cols = h.cols;
  p.tokens = split.tokens;
  p.k_blocks = h.k_blocks;
  p.token_tiles = static_cast<std::int32_t>(sizes.token_tiles);
  p.k_units = static_cast<std::int32_t>(sizes.k_units);
  p.units = sizes.units;
  // It waits for the split itself, and for what the split waited for.
  return kernels::cuda::launch(kernel, sizes.ctas, threads, shared_bytes, args.stream, true, p);
}

}  // namespace cross::kernels::cuda::split_blocks_wide
