// delta4 and delta8: decode by gathering a row of X for every kept weight (plan/formats/gpu/delta.h). One
// step of a warp is 32 weights, four of each of eight rows of W:
//
//     Y[row(l), n] += value[l] · X[position(l), n]      l = 0 … 31
//
// by one ldmatrix and one mma.sp per eight tokens, or, for one token, by one 4-byte load and one
// multiply-add. Weights go from memory to registers: shared memory only serves gathers, 512 bytes a step (N
// <= 8, 4 clocks) or 128 (N = 1). Budget of a block (8 steps), delta4 at N <= 8: 640 bytes from memory (34
// clocks of an H200's SM), 32 clocks of shared memory, about 50 instructions a lane (13 clocks).
#pragma once

#include "kernels/cuda/delta_activations.cuh"
#include "kernels/cuda/delta_params.cuh"
#include "kernels/cuda/delta_sums.cuh"
#include "kernels/cuda/ptx.cuh"
#include "plan/formats/gpu/delta.h"

namespace cross::kernels::cuda::CROSS_GPU_ARCH {

/// A lane's share of a block.
template <int bits>
struct DeltaBlock {
  std::uint32_t steps[bits / 4];
  uint4 values;
};

template <class T, int bits, int pad, int group>
class DeltaWarp {
 public:
  __device__ DeltaWarp(const DeltaParams<T>& params, std::byte* shared, const DeltaShared& places)
      : p_(params),
        shared_(shared),
        places_(places),
        layout_(params.max_pieces, params.part_tiles),
        lane_(static_cast<int>(threadIdx.x & 31)),
        warp_(__shfl_sync(0xffffffffu, static_cast<int>(threadIdx.x >> 5), 0)) {
    const std::uint32_t first = p_.cta_block[blockIdx.x];
    const std::uint32_t count = p_.cta_block[blockIdx.x + 1] - first;
    block_ = delta_warp_begin(count, warp_);
    end_ = delta_warp_begin(count, warp_ + 1);
    const std::byte* at = p_.stream + (static_cast<std::uint64_t>(first) + block_) * delta_block_bytes(bits);
    steps_ = at + lane_ * bits;
    // One token: the lane that gathers multiplies. Otherwise the lane that tensor cores want holds the value.
    values_ = at + delta_steps_bytes(bits) + (pad == 1 ? formats::gpu::holding_lane(lane_) : lane_) * 16;
    x_ = shared_address(shared) + delta_lane_offset<bits, pad>(lane_);
  }

  /// Starts the loads that do not depend on X.
  __device__ void prefetch() { load_group(first_, 0); }

  __device__ void run() {
    if (block_ == end_) return;
    select_placement();
    Place place;
    enter(place, directory<std::uint16_t>(layout_.warp_piece)[warp_]);
    float sums[2][4] = {};
    std::uint32_t quad = 2 * block_;
    while (!work_on(first_, second_, place, quad, sums) && !work_on(second_, first_, place, quad, sums)) {
    }
  }

  /// The same sums weight by weight on CUDA cores, skipping pruned positions whatever X holds.
  __device__ void run_exact() {
    if (block_ == end_) return;
    if constexpr (pad != 1) values_ += (formats::gpu::holding_lane(lane_) - lane_) * 16;
    Place place;
    enter(place, directory<std::uint16_t>(layout_.warp_piece)[warp_]);
    float sums[pad] = {};
    std::uint32_t quad = 2 * block_;
#pragma unroll 1
    for (; block_ < end_; ++block_) {
      DeltaBlock<bits> block;
      load(block, 0);
      steps_ += delta_block_bytes(bits);
      values_ += delta_block_bytes(bits);
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        std::uint32_t at[4];
        walk(block, half, place.x_row, at);
#pragma unroll
        for (int s = 0; s < 4; ++s) {
          const std::uint32_t pair = value_pair(block, half, s);
          const auto value = static_cast<std::uint16_t>(s % 2 == 0 ? pair : pair >> 16);
          if (value != 0) add_row(at[s] + (bits == 4 ? s * 128 : 0), to_float(from_bits<T>(value)), sums);
        }
        if (++quad == place.end) {
#pragma unroll
          for (int n = 0; n < pad; ++n) {
            const float sum = add_lists(sums[n]);
            if (formats::gpu::gather_list(lane_) == 0)
              slot(place.piece)[formats::gpu::gather_row(lane_) * pad + n] = sum;
            sums[n] = 0;
          }
          enter(place, place.piece + 1);
        }
      }
    }
  }

 private:
  /// Where the lane is.
  struct Place {
    std::uint32_t piece, end, x_row;
  };

  template <class U>
  __device__ const U* directory(std::uint32_t offset) const {
    return reinterpret_cast<const U*>(shared_ + places_.directory + offset);
  }
  __device__ float* slot(std::uint32_t piece) const {
    return reinterpret_cast<float*>(shared_ + places_.slots) + piece * (delta_tile_rows * pad);
  }

  /// Starts loading the next group of blocks, then multiplies the present one. @return whether it was the
  /// last
  __device__ bool work_on(DeltaBlock<bits> (&now)[group], DeltaBlock<bits> (&next)[group], Place& place,
                          std::uint32_t& quad, float (&sums)[2][4]) {
    load_group(next, group);
    steps_ += group * delta_block_bytes(bits);
    values_ += group * delta_block_bytes(bits);
#pragma unroll
    for (int i = 0; i < group; ++i) {
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        std::uint32_t at[4];
        walk(now[i], half, place.x_row, at);
        multiply(now[i], half, at, sums);
        if (++quad == place.end) {
          store_sums(place.piece, sums);
          enter(place, place.piece + 1);
        }
      }
      if (++block_ == end_) return true;
    }
    return false;
  }

  __device__ void enter(Place& place, std::uint32_t piece) const {
    place.piece = piece;
    place.end = directory<std::uint32_t>(layout_.piece_end)[piece];
    place.x_row = x_ + directory<std::uint16_t>(layout_.piece_start)[piece * 32 + lane_] * delta_pitch(bits);
  }

  /// Starts loading the blocks that are `first` and more away.
  __device__ void load_group(DeltaBlock<bits> (&blocks)[group], int first) const {
#pragma unroll
    for (int i = 0; i < group; ++i)
      if (block_ + first + i < end_) load(blocks[i], first + i);
  }
  __device__ void load(DeltaBlock<bits>& block, int distance) const {
    const int offset = distance * delta_block_bytes(bits);
    if constexpr (bits == 4)
      block.steps[0] = load_stream4(steps_ + offset);
    else
      load_stream8(block.steps, steps_ + offset);
    block.values = load_stream16(values_ + offset);
  }

  /// Addresses of four steps: prefix sums of their deltas, independent of each other. delta4: step s moves
  /// one further, which the loads add as a constant.
  __device__ static void walk(const DeltaBlock<bits>& block, int half, std::uint32_t& x_row,
                              std::uint32_t (&at)[4]) {
    if constexpr (bits == 4) {
      const std::uint32_t nibbles = block.steps[0] & (half == 0 ? 0x0f0f0f0fu : 0xf0f0f0f0u);
      const std::uint32_t pitch = half == 0 ? 128 : 8;  // high nibbles count 16 each
#pragma unroll
      for (int s = 0; s < 4; ++s) at[s] = __dp4a(nibbles, pitch * (0x01010101u >> (24 - 8 * s)), x_row);
      x_row = at[3] + 4 * 128;
    } else {
#pragma unroll
      for (int s = 0; s < 4; ++s)
        at[s] = static_cast<std::uint32_t>(__dp4a(static_cast<int>(block.steps[half]),
                                                  static_cast<int>(16 * (0x01010101u >> (24 - 8 * s))),
                                                  static_cast<int>(x_row)));
      x_row = at[3];
    }
  }

  __device__ static std::uint32_t value_pair(const DeltaBlock<bits>& block, int half, int s) {
    const int i = 2 * half + s / 2;
    return i == 0 ? block.values.x : i == 1 ? block.values.y : i == 2 ? block.values.z : block.values.w;
  }

  /// Where the lane's weight stands in A. It is one of two in a register; metadata says that the pair's place
  /// is slot g mod 4 of its group, and any other slot for the zero beside it, in ascending order. Rows 0 … 3
  /// of the tile have the groups of a0, rows 4 … 7 those of a2. With delta4 and 16 tokens lists 1 and 3 are
  /// rows 8 … 15 of A: what they gather first is the other plane of tokens.
  __device__ void select_placement() {
    if constexpr (pad == 1) return;
    const int place = lane_ >> 2 & 3;
    metadata_ = 0x11111111u * (place < 3 ? 12u + place : 12u);
    const std::uint32_t even = place < 3 ? 0x4410u : 0x1044u;
    const std::uint32_t odd = place < 3 ? 0x4432u : 0x3244u;
    const int mine = (lane_ >= 16 ? 2 : 0) + (bits == 4 && pad == 16 ? lane_ & 1 : 0);
#pragma unroll
    for (int r = 0; r < 4; ++r) {
      select_[0][r] = r == mine ? even : 0x4444u;
      select_[1][r] = r == mine ? odd : 0x4444u;
    }
  }

  __device__ void multiply(const DeltaBlock<bits>& block, int half, const std::uint32_t (&at)[4],
                           float (&sums)[2][4]) const {
    if constexpr (pad == 1) {
      float x[4];
      x[0] = load_shared_float<0>(at[0]);
      x[1] = load_shared_float < bits == 4 ? 128 : 0 > (at[1]);
      x[2] = load_shared_float < bits == 4 ? 256 : 0 > (at[2]);
      x[3] = load_shared_float < bits == 4 ? 384 : 0 > (at[3]);
#pragma unroll
      for (int s = 0; s < 4; ++s) {
        const std::uint32_t pair = value_pair(block, half, s);
        sums[0][s] += widen<T>(pair, s % 2) * x[s];
      }
    } else {
      multiply_step<0>(block, half, at[0], sums);
      multiply_step<1>(block, half, at[1], sums);
      multiply_step<2>(block, half, at[2], sums);
      multiply_step<3>(block, half, at[3], sums);
    }
  }

  template <int s>
  __device__ void multiply_step(const DeltaBlock<bits>& block, int half, std::uint32_t at,
                                float (&sums)[2][4]) const {
    constexpr int further = bits == 4 ? s * 128 : 0;
    const std::uint32_t pair = value_pair(block, half, s);
    const auto placed = [&](int r) { return pick_bytes(pair, 0, select_[s % 2][r]); };
    std::uint32_t b[4];
    load_matrices_transposed_at<further>(b, at);
    if constexpr (pad == 8) {
      mma_sparse<T, 0>(sums[s % 2], placed(0), 0u, placed(2), 0u, b, metadata_);
    } else if constexpr (bits == 4) {
      std::uint32_t other[4];
      load_matrices_transposed_at<further>(other, at ^ 64u);
      const std::uint32_t a0 = placed(0), a1 = placed(1), a2 = placed(2), a3 = placed(3);
      mma_sparse<T, 0>(sums[0], a0, a1, a2, a3, b, metadata_);
      mma_sparse<T, 0>(sums[1], a1, a0, a3, a2, other, metadata_);
    } else {
      std::uint32_t other[4];
      load_matrices_transposed_at<0>(other, at + static_cast<std::uint32_t>(p_.extent) * 16);
      const std::uint32_t a0 = placed(0), a2 = placed(2);
      mma_sparse<T, 0>(sums[0], a0, 0u, a2, 0u, b, metadata_);
      mma_sparse<T, 0>(sums[1], 0u, a0, 0u, a2, other, metadata_);
    }
  }

  /// Adds value · X to the sums of the lane's list.
  __device__ void add_row(std::uint32_t at, float value, float (&sums)[pad]) const {
    if constexpr (pad == 1) {
      sums[0] += value * load_shared_float<0>(at);
    } else {
#pragma unroll
      for (int plane = 0; plane < pad / 8; ++plane) {
        std::uint32_t row = at;
        if constexpr (pad == 16) row = bits == 4 ? (at & ~64u) + plane * 64 : at + plane * p_.extent * 16;
        const uint4 eight = load_shared16(row);
#pragma unroll
        for (int n = 0; n < 8; ++n) {
          const std::uint32_t pair = n / 2 == 0   ? eight.x
                                     : n / 2 == 1 ? eight.y
                                     : n / 2 == 2 ? eight.z
                                                  : eight.w;
          sums[8 * plane + n] +=
              value * to_float(from_bits<T>(static_cast<std::uint16_t>(n % 2 == 0 ? pair : pair >> 16)));
        }
      }
    }
  }

  /// Over the four lists of a row.
  __device__ static float add_lists(float sum) {
    sum += __shfl_xor_sync(0xffffffffu, sum, 4);
    return sum + __shfl_xor_sync(0xffffffffu, sum, 8);
  }

  __device__ void store_sums(std::uint32_t piece, float (&sums)[2][4]) const {
    if constexpr (pad == 1) {
      const float sum = add_lists((sums[0][0] + sums[0][1]) + (sums[0][2] + sums[0][3]));
      if (formats::gpu::gather_list(lane_) == 0) slot(piece)[formats::gpu::gather_row(lane_)] = sum;
    } else {
      // mma leaves row lane / 4, tokens 2 · (lane mod 4) and the next; the second plane in the second pair.
      float* to = slot(piece) + (lane_ >> 2) * pad + (lane_ & 3) * 2;
      *reinterpret_cast<float2*>(to) = make_float2(sums[0][0] + sums[1][0], sums[0][1] + sums[1][1]);
      if constexpr (pad == 16)
        *reinterpret_cast<float2*>(to + 8) = make_float2(sums[0][2] + sums[1][2], sums[0][3] + sums[1][3]);
    }
#pragma unroll
    for (int i = 0; i < 2; ++i)
#pragma unroll
      for (int j = 0; j < 4; ++j) sums[i][j] = 0;
  }

  const DeltaParams<T>& p_;
  std::byte* shared_;
  const DeltaShared& places_;
  const DeltaDirectory layout_;
  int lane_, warp_;
  std::uint32_t block_, end_;  ///< counted in the CTA
  const std::byte *steps_, *values_;
  std::uint32_t x_;
  std::uint32_t metadata_ = 0;
  std::uint32_t select_[2][4];
  DeltaBlock<bits> first_[group], second_[group];  ///< one is worked on while the other is loaded
};

/// Starts copying `bytes` (a multiple of 16) to shared memory.
__device__ __forceinline__ void copy_table(std::uint32_t shared, const std::byte* from, std::uint32_t bytes) {
  const std::uint64_t policy = evict_first_policy();
  for (std::uint32_t i = threadIdx.x * 16; i < bytes; i += blockDim.x * 16)
    copy16_async(shared + i, from + i, policy);
}

template <class T, int bits, int pad, int group>
__global__ void __launch_bounds__(delta_warps * 32, 1)
    delta_kernel(const __grid_constant__ DeltaParams<T> p) {
  extern __shared__ __align__(128) std::byte shared[];
  let_successor_start();
  const DeltaShared places(bits, pad, p.extent, p.max_pieces, p.part_tiles);
  const std::uint32_t directory_bytes = places.rows - places.directory;
  const int part = static_cast<int>(blockIdx.x) / p.slices, slice = static_cast<int>(blockIdx.x) % p.slices;
  const int rows = p.part_tiles * delta_tile_rows;

  DeltaWarp<T, bits, pad, group> work(p, shared, places);
  // Tables first: behind the weights of all SMs they would come microseconds later.
  copy_table(shared_address(shared) + places.directory,
             p.directory + static_cast<std::size_t>(blockIdx.x) * directory_bytes, directory_bytes);
  copy_table(shared_address(shared) + places.rows,
             reinterpret_cast<const std::byte*>(p.part_rows + part * rows),
             static_cast<std::uint32_t>(rows) * 4);
  commit_copies();
  work.prefetch();
  wait_for_predecessor();
  const std::int64_t k_begin = static_cast<std::int64_t>(slice) * p.extent;
  const int extent = static_cast<int>(min(static_cast<std::int64_t>(p.extent), p.cols - k_begin));
  const bool non_finite = load_slice<T, bits, pad>(shared_address(shared), p.x, p.cols, k_begin, extent,
                                                   static_cast<std::uint32_t>(p.extent) * 16, p.tokens);
  wait_copies<0>();
  if (__syncthreads_or(non_finite))
    work.run_exact();
  else
    work.run();
  __syncthreads();
  add_pieces<T, pad>(p, shared, places);
  if (p.slices > 1) add_slices<T, pad>(p, reinterpret_cast<const std::int32_t*>(shared + places.rows));
}

}  // namespace cross::kernels::cuda::CROSS_GPU_ARCH
