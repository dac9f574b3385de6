// Host side of two_four: how a matrix is dealt to SMs, limits, workspace, launch. Included by
// two_four_sm80.cu and two_four_sm90.cu, which set CROSS_GPU_ARCH.
#pragma once

#include <cuda_runtime_api.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <string>

#include "kernels/cuda/device_limits.h"
#include "kernels/cuda/launch.h"
#include "kernels/cuda/two_four.cuh"
#include "kernels/cuda/two_four_expand.cuh"
#include "plan/formats/gpu/blob.h"

namespace cross::kernels::cuda::CROSS_GPU_ARCH {

using formats::gpu::TwoFourHeader;

inline TwoFourHeader two_four_header(const PackedMatrix& matrix) {
  return formats::gpu::read_header<TwoFourHeader>(matrix.host);
}

/// The matrix as decode deals it: panels of 32 rows, K blocks of 128 columns.
struct TwoFourGrid {
  int panels, k_blocks;
  explicit TwoFourGrid(const TwoFourHeader& header)
      : panels((header.rows - 1) / two_four_block_rows + 1), k_blocks(header.k_tiles / 2) {}
};

/// Groups of eight tokens, rounded up to what kernels exist for.
constexpr int two_four_planes(std::int64_t tokens) {
  return tokens <= 8 ? 1 : tokens <= 16 ? 2 : tokens <= 32 ? 4 : 8;
}
/// Sums and the block on its way take registers: at 64 tokens eight warps have room for them, not 16.
constexpr int two_four_warps(int planes) { return planes <= 4 ? 16 : 8; }

/// Shared memory that the kernel has besides X and partials, generously.
inline constexpr std::size_t two_four_own_shared = 256;

/// One way to deal a matrix to the SMs.
struct TwoFourDeal {
  int splits = 1, teams = 1;
  Join join = Join::alone;
  int slots = 0;
  std::size_t shared_bytes = 0;
  std::size_t workspace_bytes = 0;  ///< beyond the counters
  bool valid = false;
};

/// Deals K to `splits` CTAs a team. `teams`: those that run at a time.
inline TwoFourDeal two_four_deal(const TwoFourGrid& grid, int planes, int warps, int splits, int most_teams,
                                 bool cluster, std::size_t shared_limit) {
  TwoFourDeal deal;
  deal.splits = splits;
  deal.teams = std::max(1, std::min(most_teams, grid.panels));
  const int panels = (grid.panels + deal.teams - 1) / deal.teams;
  deal.slots = panels + warps - 1;
  const std::size_t x_bytes = static_cast<std::size_t>((grid.k_blocks + splits - 1) / splits) *
                              static_cast<std::size_t>(planes) * 2048;
  const std::size_t partial_bytes =
      static_cast<std::size_t>(deal.slots) * static_cast<std::size_t>(planes) * 1024;
  shared_limit -= std::min(shared_limit, two_four_own_shared);
  const bool fits = x_bytes + partial_bytes <= shared_limit;
  // A launch without a cluster has no counted stores.
  if (splits == 1)
    deal.join = fits ? Join::alone : Join::last;
  else if (cluster)
    deal.join = fits ? Join::cluster : Join::memory;
  else
    deal.join = Join::last;
  const bool shared_partials = deal.join == Join::alone || deal.join == Join::cluster;
  deal.shared_bytes = x_bytes + (shared_partials ? partial_bytes : 0);
  if (!shared_partials)
    deal.workspace_bytes =
        partial_bytes * static_cast<std::size_t>(splits) * static_cast<std::size_t>(deal.teams);
  // Blocks and partials are counted in 32 bits, and there is one counter a team.
  const std::size_t blocks = static_cast<std::size_t>(panels) * static_cast<std::size_t>(grid.k_blocks);
  deal.valid = deal.shared_bytes <= shared_limit &&
               partial_bytes * static_cast<std::size_t>(splits) < (1u << 31) &&
               blocks * static_cast<std::size_t>(warps) < (1u << 31) &&
               (deal.join != Join::last || static_cast<std::size_t>(deal.teams) * 4 <= counter_bytes);
  return deal;
}

template <class T, int planes, int warps>
int two_four_start(const TwoFourHeader& header, const TwoFourDeal& deal, const PackedMatrix& matrix,
                   const GpuArgs& args) {
  const TwoFourGrid grid(header);
  TwoFourParams<T> p;
  p.tiles = matrix.device + header.tiles;
  p.x = static_cast<const T*>(args.x);
  p.arrived = reinterpret_cast<std::uint32_t*>(args.workspace);
  p.partials =
      deal.workspace_bytes == 0 ? nullptr : reinterpret_cast<float2*>(args.workspace + counter_bytes);
  p.epilogue = {static_cast<T*>(args.y), args.bias, static_cast<const T*>(args.residual), header.rows,
                args.activation};
  p.cols = header.cols;
  p.tokens = static_cast<std::int32_t>(args.tokens);
  p.k_blocks = grid.k_blocks;
  p.splits = deal.splits;
  p.k_range = (grid.k_blocks + deal.splits - 1) / deal.splits;
  p.team_panels = grid.panels / deal.teams;
  p.longer_teams = grid.panels % deal.teams;
  p.slots = deal.slots;
  p.join = deal.join;
  p.owner_shift = deal.join == Join::cluster || deal.join == Join::memory
                      ? std::bit_width(static_cast<unsigned>(deal.splits)) - 1
                      : 0;
#if CROSS_GPU_CLUSTERS
  if (deal.join == Join::cluster)
    return launch_in_clusters(two_four_kernel<T, planes, warps, true>, deal.teams * deal.splits, deal.splits,
                              warps * 32, deal.shared_bytes, args.stream, args.overlap, p);
#endif
  return launch_in_clusters(two_four_kernel<T, planes, warps, false>, deal.teams * deal.splits,
                            deal.join == Join::memory ? deal.splits : 1, warps * 32, deal.shared_bytes,
                            args.stream, args.overlap, p);
}

#if CROSS_GPU_CLUSTERS
/// Clusters of `splits` CTAs, each with an SM of its own, that run at a time: less than sms / splits where
/// GPCs have an SM left over. Asked once for every device.
inline int two_four_clusters(int splits, const DeviceLimits& limits) {
  static std::array<std::array<std::atomic<int>, 9>, 64> known{};
  std::atomic<int>* remembered =
      limits.device < 64 ? &known[static_cast<std::size_t>(limits.device)][static_cast<std::size_t>(splits)]
                         : nullptr;
  if (remembered != nullptr && remembered->load(std::memory_order_relaxed) > 0)
    return remembered->load(std::memory_order_relaxed);
  const int clusters = most_clusters(two_four_kernel<__half, 1, two_four_warps(1), true>, splits,
                                     two_four_warps(1) * 32, limits.shared_bytes - two_four_own_shared);
  if (remembered != nullptr) remembered->store(clusters, std::memory_order_relaxed);
  return clusters;
}
#endif

/// The deal with the least traffic through the busiest SM.
inline TwoFourDeal two_four_best_deal(const TwoFourHeader& header, int planes, const DeviceLimits& limits) {
  const int warps = two_four_warps(planes);
  const TwoFourGrid grid(header);
  TwoFourDeal best;
#if CROSS_GPU_CLUSTERS
  double least = 0;
  for (const int splits : {1, 2, 4, 8}) {
    if (splits > grid.k_blocks) break;
    const int teams = splits == 1 ? limits.sms : two_four_clusters(splits, limits);
    if (teams == 0) continue;
    const TwoFourDeal deal = two_four_deal(grid, planes, warps, splits, teams, true, limits.shared_bytes);
    if (!deal.valid) continue;
    const double panels = (grid.panels + deal.teams - 1) / deal.teams;
    const double k_blocks = (grid.k_blocks + splits - 1) / splits;
    const bool slow = deal.join != Join::alone && deal.join != Join::cluster;
    const double bytes = panels * k_blocks * two_four_tile_bytes + k_blocks * planes * 2048 +
                         (slow ? 3.0 : 1.0) * deal.slots * planes * 1024;
    if (!best.valid || bytes < least) {
      best = deal;
      least = bytes;
    }
  }
  if (best.valid) return best;
#endif
  // Portable: as few splits as X allows.
  for (int splits = 1; splits <= grid.k_blocks; ++splits) {
    best = two_four_deal(grid, planes, warps, splits, limits.sms / splits, false, limits.shared_bytes);
    if (best.valid) break;
  }
  return best;
}

inline std::string two_four_refuses(const PackedMatrix& matrix, std::int64_t tokens, std::size_t) {
  if (tokens > 64) return "two_four takes at most 64 tokens";
  if (!two_four_best_deal(two_four_header(matrix), two_four_planes(tokens), device_limits()).valid)
    return "the matrix has too many rows for two_four's partial sums";
  return {};
}

inline std::size_t two_four_workspace(const PackedMatrix& matrix, std::int64_t tokens) {
  const TwoFourDeal deal =
      two_four_best_deal(two_four_header(matrix), two_four_planes(tokens), device_limits());
  return deal.join == Join::alone || deal.join == Join::cluster ? 0 : counter_bytes + deal.workspace_bytes;
}

template <class T>
int two_four_launch_typed(const PackedMatrix& matrix, const GpuArgs& args) {
  const TwoFourHeader header = two_four_header(matrix);
  const TwoFourDeal deal = two_four_best_deal(header, two_four_planes(args.tokens), device_limits());
  if (!deal.valid) return cudaErrorInvalidConfiguration;
  switch (two_four_planes(args.tokens)) {
    case 1:
      return two_four_start<T, 1, two_four_warps(1)>(header, deal, matrix, args);
    case 2:
      return two_four_start<T, 2, two_four_warps(2)>(header, deal, matrix, args);
    case 4:
      return two_four_start<T, 4, two_four_warps(4)>(header, deal, matrix, args);
    default:
      return two_four_start<T, 8, two_four_warps(8)>(header, deal, matrix, args);
  }
}

inline int two_four_launch(const PackedMatrix& matrix, const GpuArgs& args) {
  if (args.tokens == 0) return cudaSuccess;
  return matrix.dtype == DType::bf16 ? two_four_launch_typed<__nv_bfloat16>(matrix, args)
                                     : two_four_launch_typed<__half>(matrix, args);
}

inline int two_four_expand(const PackedMatrix& matrix, void* out, void* stream) {
  const TwoFourHeader header = two_four_header(matrix);
  TwoFourExpandParams p;
  p.tiles = matrix.device + header.tiles;
  p.out = static_cast<std::uint16_t*>(out);
  p.rows = header.rows;
  p.cols = header.cols;
  p.k_tiles = header.k_tiles;
  p.count = static_cast<std::int64_t>(header.panels) * header.k_tiles;
  const std::int64_t ctas = (p.count + 7) / 8;
  return launch(two_four_expand_kernel, static_cast<int>(ctas), 256, 0, stream, false, p);
}

}  // namespace cross::kernels::cuda::CROSS_GPU_ARCH
