// What the parts of the cross_panels kernel share: parameters, the map of shared memory, barriers.
#pragma once

#include "kernels/cuda/bulk_copy.cuh"
#include "kernels/cuda/cluster.cuh"
#include "kernels/cuda/epilogue.cuh"
#include "kernels/cuda/split_precision.cuh"
#include "plan/formats/gpu/cross_panels.h"

namespace cross::kernels::cuda {

namespace cross_panels {

using namespace formats::gpu;

/// x of 128 tokens and a K step for tensor cores: fp16 high parts, then low parts, each [128 tokens][128
/// bytes] with the 128-byte swizzle.
inline constexpr std::uint32_t plane_bytes = cross_tokens * cross_k * 2, planes_bytes = 2 * plane_bytes;
/// x of 32 tokens and a K step for CUDA cores: fp32, [64 columns][32 tokens].
inline constexpr int group_tokens = 32, tile_groups = cross_tokens / group_tokens;
inline constexpr std::uint32_t columns_bytes = cross_k * group_tokens * 4;
inline constexpr std::uint32_t window_bytes = cross_chunk_steps * columns_bytes;  ///< then a row of zeros
inline constexpr std::uint32_t window_slot = window_bytes + 128;
inline constexpr int tile_floats = cross_share_rows * cross_tokens;  ///< of a CTA

/// Threads: one warp group that copies, two that feed the tensor cores (64 rows each), one that gathers.
inline constexpr int threads = 512, tensor_threads = 256, gather_threads = 128;
/// Every tensor warp of both CTAs gives a stage back: planes of x come to both at once.
inline constexpr int step_releases = cross_shares * tensor_threads / 32;
inline constexpr int most_stages = 8;

struct Params {
  const CrossStep* steps = nullptr;
  const CrossChunk* chunks = nullptr;
  const CrossPiece* pieces = nullptr;
  const std::uint32_t* worker_pieces = nullptr;  ///< of this number of token tiles
  const std::int32_t* row_exponents = nullptr;
  const std::byte* values = nullptr;
  const std::byte* planes = nullptr;   ///< [token tiles][K steps] planes_bytes
  const std::byte* columns = nullptr;  ///< [token groups][K steps] columns_bytes
  const std::int32_t* token_exponents = nullptr;
  float* gathered = nullptr;   ///< [CTAs][2][128 rows][128 tokens]: sums of the CUDA cores
  float4* partials = nullptr;  ///< [slots][shares][16][256 threads]
  std::uint32_t* counters = nullptr;
  unsigned long long* stamps = nullptr;  ///< [clusters][3], or nullptr
  const float* x = nullptr;
  EpilogueArgs<float> epilogue;
  std::int64_t cols = 0;
  std::int32_t tokens = 0, k_steps = 0;
  std::int32_t step_stages = 0, chunk_stages = 0;
  std::uint32_t step_bytes = 0, chunk_bytes = 0;
};

/// The time as stamp `which` of a cluster, the latest of its warps; where stamps are wanted.
__device__ __forceinline__ void stamp(const Params& p, std::uint32_t cluster, int which) {
  if (p.stamps == nullptr || (threadIdx.x & 31) != 0) return;
  unsigned long long now;
  asm volatile("mov.u64 %0, %globaltimer;" : "=l"(now));
  atomicMax(p.stamps + 3 * cluster + which, now);
}

/// Shared memory of a CTA, as addresses.
struct Shared {
  std::uint32_t planes, weights, windows, lists;  ///< [stage]
  std::uint32_t full, empty, chunk_full, chunk_empty, sums_full, sums_empty, halves, ticket;

  __device__ Shared(std::uint32_t base, const Params& p) {
    planes = base;
    weights = planes + static_cast<std::uint32_t>(p.step_stages) * planes_bytes;
    windows = weights + static_cast<std::uint32_t>(p.step_stages) * p.step_bytes;
    lists = windows + static_cast<std::uint32_t>(p.chunk_stages) * window_slot;
    full = lists + static_cast<std::uint32_t>(p.chunk_stages) * p.chunk_bytes;
    empty = full + 8 * most_stages;
    chunk_full = empty + 8 * most_stages;
    chunk_empty = chunk_full + 8 * most_stages;
    sums_full = chunk_empty + 8 * most_stages;
    sums_empty = sums_full + 16;
    halves = sums_empty + 16;
    ticket = halves + 8 * most_stages;
  }
};
inline constexpr std::size_t control_bytes = 5 * 8 * most_stages + 48;

/// A position in a ring and the parity of its round.
struct Ring {
  std::uint32_t stage = 0, parity = 0;
  std::int32_t stages;
  __device__ explicit Ring(std::int32_t count) : stages(count) {}
  __device__ void next() {
    if (++stage == static_cast<std::uint32_t>(stages)) {
      stage = 0;
      parity ^= 1;
    }
  }
};

__device__ __forceinline__ void barrier_arrive(std::uint32_t barrier) {
  asm volatile("mbarrier.arrive.shared.b64 _, [%0];" ::"r"(barrier) : "memory");
}
__device__ __forceinline__ void expect_bytes(std::uint32_t barrier, std::uint32_t bytes) {
  asm volatile("mbarrier.arrive.expect_tx.shared.b64 _, [%0], %1;" ::"r"(barrier), "r"(bytes) : "memory");
}
/// One thread: announces itself on `barrier`, whose phase expects the bytes.
__device__ __forceinline__ void bulk_copy(std::uint32_t shared, const std::byte* global, std::uint32_t bytes,
                                          std::uint32_t barrier) {
  asm volatile(
      "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::"r"(shared),
      "l"(global), "r"(bytes), "r"(barrier)
      : "memory");
}
/// The same into both CTAs of the cluster, each announced on its own barrier.
__device__ __forceinline__ void bulk_copy_to_both(std::uint32_t shared, const std::byte* global,
                                                  std::uint32_t bytes, std::uint32_t barrier) {
  constexpr std::uint16_t both = 3;
  asm volatile(
      "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes.multicast::cluster [%0], [%1], %2, "
      "[%3], %4;" ::"r"(shared),
      "l"(global), "r"(bytes), "r"(barrier), "h"(both)
      : "memory");
}
/// All lanes of a warp: the warp is done with what `barrier` of both CTAs guards.
__device__ __forceinline__ void release_in_both(std::uint32_t barrier, int lane) {
  __syncwarp();
  if (lane < cross_shares)
    asm volatile("mbarrier.arrive.shared::cluster.b64 _, [%0];" ::"r"(in_cta(barrier, lane)) : "memory");
}
__device__ __forceinline__ int share_of_cta() { return static_cast<int>(blockIdx.x) % cross_shares; }
/// Selected, not indexed: the piece stays in registers.
__device__ __forceinline__ std::uint32_t chunks_of(const CrossPiece& piece) {
  return share_of_cta() == 0 ? piece.chunks[0] : piece.chunks[1];
}
__device__ __forceinline__ std::uint32_t first_chunk_of(const CrossPiece& piece) {
  return share_of_cta() == 0 ? piece.first_chunk[0] : piece.first_chunk[1];
}

template <int registers>
__device__ __forceinline__ void more_registers() {
  asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(registers));
}
template <int registers>
__device__ __forceinline__ void fewer_registers() {
  asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(registers));
}

/// Token groups of a tile that hold a token.
__device__ __forceinline__ int groups_of(const Params& p, const CrossPiece& piece) {
  const int left = p.tokens - static_cast<int>(piece.tile) * cross_tokens;
  return min(tile_groups, (left + group_tokens - 1) / group_tokens);
}

}  // namespace cross_panels
}  // namespace cross::kernels::cuda
