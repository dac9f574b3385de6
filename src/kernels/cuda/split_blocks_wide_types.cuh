// What the parts of split_blocks_wide share: parameters, the share of a CTA, the map of shared memory.
#pragma once

#include "kernels/cuda/bulk_copy.cuh"
#include "kernels/cuda/epilogue.cuh"
#include "kernels/cuda/split_precision.cuh"
#include "kernels/cuda/wgmma.cuh"
#include "plan/formats/gpu/split_blocks.h"

namespace cross::kernels::cuda::split_blocks_wide {

using namespace formats::gpu;

/// A tile: 128 rows of W by 128 tokens, 64 a warp group.
inline constexpr int tile_tokens = 128, group_tokens = 64;
inline constexpr int groups = tile_tokens / group_tokens, group_threads = 128;
/// Two warp groups multiply, two write weights: every second block each.
inline constexpr int writers = 2, multiplying = groups * group_threads, threads = multiplying + 256;
/// W of a block as a B operand: high parts, then low parts, each [128 rows][128 bytes] with the swizzle.
inline constexpr std::uint32_t part_bytes = split_rows * split_k * 2, buffer_bytes = 2 * part_bytes;
inline constexpr int stages = 6;
inline constexpr std::uint32_t exact_bytes = groups * split_rows * 4;
inline constexpr std::size_t shared_bytes = 1024 + stages * buffer_bytes + exact_bytes + 2 * 8 * stages;
/// A CTA takes blocks of K by twos; the last may not exist.
inline constexpr int unit_blocks = 2;
/// Units whose products tensor cores add up, truncating, before CUDA cores take the sums.
inline constexpr int units_a_sum = 2;

/// x of 64 tokens and a block: [4 steps of 16 columns][high, low][4 warps][32 lanes] 16 bytes, the lane's
/// registers of A. Rows g and g + 8 of a warp are tokens 2 g and 2 g + 1 of its 16, so that two neighbours
/// fill the lane's registers.
inline constexpr std::int64_t x_warp_bytes = 32 * 16, x_part_bytes = 4 * x_warp_bytes,
                              x_step_bytes = 2 * x_part_bytes, x_block_bytes = 4 * x_step_bytes;

struct Params {
  const std::uint32_t* begin = nullptr;
  const std::int32_t* row_exponents = nullptr;
  const uint4* parts = nullptr;
  const uint2* places = nullptr;
  const float* x = nullptr;                       ///< [tokens, cols]
  const std::byte* split_x = nullptr;             ///< [groups of 64 tokens][blocks] x_block_bytes
  const std::int32_t* token_exponents = nullptr;  ///< of all tiles' tokens
  float4* partials = nullptr;                     ///< [CTAs][16][256 threads]: of its first piece
  std::uint32_t* counters = nullptr;              ///< [CTAs][groups]: warps that left theirs for its last
  EpilogueArgs<float> epilogue;
  std::int64_t cols = 0;
  std::int32_t tokens = 0, k_blocks = 0, token_tiles = 0;
  std::int32_t k_units = 0;  ///< of a tile
  std::int64_t units = 0;    ///< of all tiles; CTA c of g has those from c · units / g on
};

/// First unit of a CTA.
__device__ __forceinline__ std::int64_t first_unit(const Params& p, std::int64_t cta) {
  return p.units * cta / gridDim.x;
}
/// The CTA that has a unit.
__device__ __forceinline__ std::int32_t cta_of(const Params& p, std::int64_t unit) {
  return static_cast<std::int32_t>(((unit + 1) * gridDim.x - 1) / p.units);
}

/// What a CTA does of one tile: units [begin, end) of K.
struct Piece {
  std::int32_t panel = 0, token_tile = 0, begin = 0, end = 0;
  std::int64_t tile = 0;
  __device__ Piece(const Params& p, std::int64_t unit, std::int64_t last_unit)
      : begin(static_cast<std::int32_t>(unit % p.k_units)), tile(unit / p.k_units) {
    panel = static_cast<std::int32_t>(tile / p.token_tiles);
    token_tile = static_cast<std::int32_t>(tile % p.token_tiles);
    const std::int64_t left = last_unit - unit;
    end = left < p.k_units - begin ? begin + static_cast<std::int32_t>(left) : p.k_units;
  }
};

/// Shared memory of a CTA, as addresses.
struct Shared {
  std::uint32_t buffers, exact, full, empty;
  __device__ explicit Shared(std::uint32_t base)
      : buffers(base),
        exact(buffers + stages * buffer_bytes),
        full(exact + exact_bytes),
        empty(full + 8 * stages) {}
};

/// A position in the ring of buffers and the parity of its round.
struct Ring {
  std::uint32_t stage = 0, parity = 0;
  __device__ __forceinline__ void next(std::uint32_t count = 1) {
    stage += count;
    if (stage >= stages) stage -= stages, parity ^= 1;
  }
};

/// All lanes of a warp: one arrival for the warp.
__device__ __forceinline__ void warp_arrives(std::uint32_t barrier, int lane) {
  __syncwarp();
  if (lane == 0) asm volatile("mbarrier.arrive.shared.b64 _, [%0];" ::"r"(barrier) : "memory");
}

}  // namespace cross::kernels::cuda::split_blocks_wide
