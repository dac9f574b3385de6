// gather8: decode by gathering rows of X for every kept weight (plan/formats/gpu/gather8.h). One step of a
// warp is 32 weights, four of each of eight rows:
//
//     Y[row(l), n] += value[l] · X[column(l), n]      l = 0 … 31, by one ldmatrix and one mma.sp per eight
//     tokens
//
// Budget of a step at N <= 8: 96 bytes of weights from memory, 512 bytes of X from shared memory (4 clocks
// without bank conflicts), about 5 instructions a lane. So shared memory and HBM bound it alike; docs/gpu.md
// has the figures.
#pragma once

#include "kernels/cuda/activations.cuh"
#include "kernels/cuda/epilogue.cuh"
#include "kernels/cuda/gpu_kernel.h"
#include "kernels/cuda/ptx.cuh"
#include "plan/formats/gpu/gather8.h"

namespace cross::kernels::cuda::CROSS_GPU_ARCH {

using formats::gpu::gather8_block_bytes;
using formats::gpu::gather8_block_steps;
using formats::gpu::gather8_max_ctas;
using formats::gpu::gather8_tile_rows;
using formats::gpu::gather8_values_at;
using formats::gpu::gather8_warps;

/// Blocks that one copy group of a warp brings.
inline constexpr int stage_blocks = 2;
inline constexpr int stage_bytes = stage_blocks * gather8_block_bytes;

/// Everything a launch needs; CTA bounds travel in it so that the first copies wait for no load.
template <class T>
struct Gather8Params {
  const std::byte* stream;
  const std::uint32_t* cta_entry;
  const std::uint32_t* entry_end;
  const std::int32_t* entry_rows;
  const std::uint16_t* entry_starts;
  const std::uint32_t* warp_entry;
  const std::uint16_t* warp_starts;
  const T* x;
  float* partial;          ///< [entries][planes][32 lanes][2], k_groups > 1 only
  std::uint32_t* arrived;  ///< [parts], zero between runs
  EpilogueArgs<T> epilogue;
  std::int64_t cols;
  std::int32_t tokens;
  std::int32_t k_groups, k_extent;
  std::uint32_t cta_block[gather8_max_ctas + 1];
};

/// A lane's part of a tile's sums as mma leaves it: row lane / 4, tokens 2 · (lane mod 4) and the next, of
/// every plane. The second pair belongs to rows 8 … 15 of the fragment, which stay zero.
template <int planes>
struct Sums {
  float v[planes][4];
};

/// Shared memory: X, then the warps' rings, then two partial sums a warp.
template <int planes>
struct Gather8Shared {
  static constexpr std::size_t slot_bytes = gather8_tile_rows * 8 * planes * sizeof(float);
  static constexpr std::size_t slots_bytes = 2 * gather8_warps * slot_bytes;
  static std::size_t bytes(int k_extent, int stages) {
    return static_cast<std::size_t>(k_extent) * 16 * planes + slots_bytes +
           static_cast<std::size_t>(gather8_warps * stages) * stage_bytes;
  }
};

template <class T, int planes, int stages>
class Gather8Warp {
 public:
  __device__ Gather8Warp(const Gather8Params<T>& params, std::uint32_t x_shared, std::uint32_t ring,
                         float* slots)
      : p_(params),
        x_(x_shared),
        ring_(ring),
        slots_(slots),
        lane_(threadIdx.x & 31),
        warp_(threadIdx.x >> 5) {
    const std::uint32_t cta_begin = p_.cta_block[blockIdx.x];
    const std::uint32_t count = p_.cta_block[blockIdx.x + 1] - cta_begin;
    begin_ = cta_begin + formats::gpu::gather8_warp_begin(count, warp_);
    end_ = cta_begin + formats::gpu::gather8_warp_begin(count, warp_ + 1);
    extent_ = static_cast<int>(
        min(static_cast<long long>(p_.k_extent),
            static_cast<long long>(p_.cols - static_cast<std::int64_t>(group()) * p_.k_extent)));
  }

  /// Starts everything that does not depend on X: the first copies, then the tables.
  __device__ void prefetch() {
    policy_ = evict_first_policy();
#pragma unroll
    for (int s = 0; s < stages - 1; ++s) copy_stage(s);
    if (begin_ == end_) return;
    const std::uint32_t w = blockIdx.x * gather8_warps + warp_;
    const std::uint32_t start = p_.warp_starts[w * 32 + lane_];
    now_.entry = p_.warp_entry[w];
    began_here_ = (now_.entry == 0 ? 0 : p_.entry_end[now_.entry - 1]) == begin_;
    look_up(now_);
    now_.x_row = x_ + start * 16;
  }

  /// Runs the warp's blocks. exact: skips pruned positions whatever X holds, without tensor cores.
  template <bool exact>
  __device__ void run() {
    if (begin_ == end_) return;
    Sums<planes> sums[2] = {};
    // A lane of A holds one weight a step, in one half of a0 (rows 0 … 3 of the tile) or a2 (rows 4 … 7).
    // Metadata: that half multiplies slot g mod 4 of its group; the other half is zero and points to any
    // other slot, in order.
    const int slot_in_group = lane_ >> 2 & 3;
    const std::uint32_t metadata = 0x11111111u * (slot_in_group < 3 ? 12u + slot_in_group : 12u);
    const std::uint32_t even = slot_in_group < 3 ? 0x4410u : 0x1044u;
    const std::uint32_t odd = slot_in_group < 3 ? 0x4432u : 0x3244u;
    const bool upper = lane_ >= 16;
    const std::uint32_t even0 = upper ? 0x4444u : even, odd0 = upper ? 0x4444u : odd;
    const std::uint32_t even2 = upper ? even : 0x4444u, odd2 = upper ? odd : 0x4444u;
    Place next = now_;
    prepare(next);

    int slot = 0;
    for (std::uint32_t block = begin_; block < end_;) {
      wait_copies<stages - 2>();
      __syncwarp();
      const std::uint32_t stage = ring_ + static_cast<std::uint32_t>(slot) * stage_bytes;
      std::uint32_t deltas[stage_blocks];
      uint2 values[stage_blocks];
#pragma unroll
      for (int i = 0; i < stage_blocks; ++i) {
        deltas[i] = load_shared(stage + static_cast<std::uint32_t>(i * gather8_block_bytes + lane_ * 4));
        values[i] = load_shared8(
            stage + static_cast<std::uint32_t>(i * gather8_block_bytes + gather8_values_at + lane_ * 8));
      }
#pragma unroll
      for (int i = 0; i < stage_blocks; ++i) {
        if (block >= end_) break;
        if constexpr (exact) {
          exact_block(sums[0], deltas[i],
                      stage + static_cast<std::uint32_t>(i * gather8_block_bytes + gather8_values_at));
        } else {
          // Steps by prefix sums of the four bytes: independent of each other.
          const std::uint32_t at = now_.x_row;
          now_.x_row = add_bytes(deltas[i], 0x10101010, at);
          multiply(sums[0], add_bytes(deltas[i], 0x00000010, at), pick_bytes(values[i].x, 0, even0),
                   pick_bytes(values[i].x, 0, even2), metadata);
          multiply(sums[1], add_bytes(deltas[i], 0x00001010, at), pick_bytes(values[i].x, 0, odd0),
                   pick_bytes(values[i].x, 0, odd2), metadata);
          multiply(sums[0], add_bytes(deltas[i], 0x00101010, at), pick_bytes(values[i].y, 0, even0),
                   pick_bytes(values[i].y, 0, even2), metadata);
          multiply(sums[1], now_.x_row, pick_bytes(values[i].y, 0, odd0), pick_bytes(values[i].y, 0, odd2),
                   metadata);
        }
        ++block;
        if (block == now_.end) {
          finish_entry(sums);
          if (block < end_) {
            now_ = next;
            prepare(next);
          }
        }
      }
      __syncwarp();
      copy_stage(slot == 0 ? stages - 1 : slot - 1);
      slot = slot + 1 == stages ? 0 : slot + 1;
    }
    if (end_ < now_.end) {  // the entry goes on in the next warp
      add_halves(sums);
      store_slot(began_here_ ? 1 : 0, sums[0]);
    }
  }

  /// After a block-wide barrier: the warp in which a shared entry began adds up all parts, in warp order.
  __device__ void reduce() {
    if (begin_ == end_ || !began_here_ || now_.end <= end_) return;
    Sums<planes> sums;
    load_slot(warp_, 1, sums);
    const std::uint32_t cta_begin = p_.cta_block[blockIdx.x];
    const std::uint32_t count = p_.cta_block[blockIdx.x + 1] - cta_begin;
    for (int w = warp_ + 1; w < gather8_warps; ++w) {
      const std::uint32_t from = cta_begin + formats::gpu::gather8_warp_begin(count, w);
      if (from >= now_.end) break;
      if (from == cta_begin + formats::gpu::gather8_warp_begin(count, w + 1)) continue;
      Sums<planes> part;
      load_slot(w, 0, part);
#pragma unroll
      for (int q = 0; q < planes; ++q) {
        sums.v[q][0] += part.v[q][0];
        sums.v[q][1] += part.v[q][1];
      }
    }
    store_sums(sums);
  }

  __device__ int group() const { return static_cast<int>(blockIdx.x) % p_.k_groups; }
  __device__ int extent() const { return extent_; }

 private:
  /// Where the lane is: an entry, the lane's row of X, and the row of W whose sums the lane holds.
  struct Place {
    std::uint32_t entry = 0, end = 0, x_row = 0;
    std::int32_t row = -1;
  };
  __device__ void look_up(Place& place) const {
    place.end = p_.entry_end[place.entry];
    place.row = p_.entry_rows[place.entry * gather8_tile_rows + (lane_ >> 2)];
  }
  /// Looks up the entry after now_ while now_ is worked on.
  __device__ void prepare(Place& next) const {
    if (now_.end >= end_) return;
    next.entry = now_.entry + 1;
    look_up(next);
    next.x_row = x_ + static_cast<std::uint32_t>(p_.entry_starts[next.entry * 32 + lane_]) * 16;
  }

  /// Brings the next stage into ring place `slot`; an empty group when nothing is left, so that counts stay
  /// right.
  __device__ void copy_stage(int slot) {
    const std::uint32_t first = begin_ + static_cast<std::uint32_t>(copied_) * stage_blocks;
    ++copied_;
    if (first < end_) {
      const int bytes =
          static_cast<int>(min(end_ - first, static_cast<std::uint32_t>(stage_blocks))) * gather8_block_bytes;
      const std::byte* from = p_.stream + static_cast<std::uint64_t>(first) * gather8_block_bytes;
      const std::uint32_t to = ring_ + static_cast<std::uint32_t>(slot) * stage_bytes;
#pragma unroll
      for (int b = 0; b < stage_bytes; b += 512) {
        const int offset = b + lane_ * 16;
        if (offset < bytes) copy16_async(to + static_cast<std::uint32_t>(offset), from + offset, policy_);
      }
    }
    commit_copies();
  }

  __device__ void multiply(Sums<planes>& sums, std::uint32_t x_row, std::uint32_t a0, std::uint32_t a2,
                           std::uint32_t metadata) const {
#pragma unroll
    for (int q = 0; q < planes; ++q) {
      std::uint32_t b[4];
      load_matrices_transposed(b, x_row + static_cast<std::uint32_t>(q * p_.k_extent * 16));
      mma_sparse<T, 0>(sums.v[q], a0, 0u, a2, 0u, b, metadata);
    }
  }

  /// The same sums weight by weight: every lane of a row meets all its weights and keeps two tokens a plane.
  __device__ void exact_block(Sums<planes>& sums, std::uint32_t deltas, std::uint32_t values) {
#pragma unroll 1
    for (int s = 0; s < gather8_block_steps; ++s) {
      now_.x_row += static_cast<std::uint32_t>(static_cast<std::int8_t>(deltas >> (8 * s))) * 16;
#pragma unroll 1
      for (int list = 0; list < 4; ++list) {
        const int row = lane_ >> 2;
        const int gathering = 16 * (row >> 2) + 4 * list + (row & 3);
        const std::uint32_t x_row = __shfl_sync(0xffffffffu, now_.x_row, gathering);
        const int index = formats::gpu::gather8_value_index(gathering, s);
        const std::uint32_t word = load_shared(values + static_cast<std::uint32_t>(index / 2) * 4);
        const auto bits = static_cast<std::uint16_t>(index % 2 != 0 ? word >> 16 : word);
        if (bits == 0) continue;
        const float weight = to_float(from_bits<T>(bits));
#pragma unroll
        for (int q = 0; q < planes; ++q) {
          const std::uint32_t pair =
              load_shared(x_row + static_cast<std::uint32_t>(q * p_.k_extent * 16 + (lane_ & 3) * 4));
          sums.v[q][0] += weight * to_float(from_bits<T>(static_cast<std::uint16_t>(pair)));
          sums.v[q][1] += weight * to_float(from_bits<T>(static_cast<std::uint16_t>(pair >> 16)));
        }
      }
      __syncwarp();
    }
  }

  __device__ static void add_halves(Sums<planes> (&sums)[2]) {
#pragma unroll
    for (int q = 0; q < planes; ++q) {
      sums[0].v[q][0] += sums[1].v[q][0];
      sums[0].v[q][1] += sums[1].v[q][1];
    }
  }

  __device__ void finish_entry(Sums<planes> (&sums)[2]) {
    add_halves(sums);
    if (began_here_)
      store_sums(sums[0]);
    else
      store_slot(0, sums[0]);
    began_here_ = true;
#pragma unroll
    for (int q = 0; q < planes; ++q)
#pragma unroll
      for (int j = 0; j < 4; ++j) sums[0].v[q][j] = sums[1].v[q][j] = 0.0f;
  }

  __device__ float2* slot_at(int warp, int which) const {
    return reinterpret_cast<float2*>(slots_) + (warp * 2 + which) * 32 * planes;
  }
  __device__ void store_slot(int which, const Sums<planes>& sums) const {
#pragma unroll
    for (int q = 0; q < planes; ++q)
      slot_at(warp_, which)[q * 32 + lane_] = make_float2(sums.v[q][0], sums.v[q][1]);
  }
  __device__ void load_slot(int warp, int which, Sums<planes>& sums) const {
#pragma unroll
    for (int q = 0; q < planes; ++q) {
      const float2 v = slot_at(warp, which)[q * 32 + lane_];
      sums.v[q][0] = v.x;
      sums.v[q][1] = v.y;
    }
  }

  __device__ void store_sums(const Sums<planes>& sums) const {
    if (p_.k_groups > 1) {
      float2* to =
          reinterpret_cast<float2*>(p_.partial) + static_cast<std::int64_t>(now_.entry) * 32 * planes;
#pragma unroll
      for (int q = 0; q < planes; ++q) __stcg(to + q * 32 + lane_, make_float2(sums.v[q][0], sums.v[q][1]));
      return;
    }
    if (now_.row < 0) return;
#pragma unroll
    for (int q = 0; q < planes; ++q)
#pragma unroll
      for (int j = 0; j < 2; ++j) {
        const int token = 8 * q + 2 * (lane_ & 3) + j;
        if (token < p_.tokens) store_output(p_.epilogue, now_.row, token, sums.v[q][j]);
      }
  }

  const Gather8Params<T>& p_;
  std::uint32_t x_, ring_;
  float* slots_;
  int lane_, warp_;
  std::uint32_t begin_, end_;
  int extent_;
  int copied_ = 0;
  Place now_;
  bool began_here_ = false;  ///< the entry began in this warp
  std::uint64_t policy_ = 0;
};

/// The last CTA of a part to arrive adds the K groups in order and stores the outputs.
template <class T, int planes>
__device__ void combine_groups(const Gather8Params<T>& p) {
  __shared__ bool last;
  __threadfence();
  __syncthreads();
  const int part = static_cast<int>(blockIdx.x) / p.k_groups;
  if (threadIdx.x == 0) {
    last = atomicAdd(p.arrived + part, 1u) == static_cast<std::uint32_t>(p.k_groups - 1);
    if (last) p.arrived[part] = 0;
  }
  __syncthreads();
  if (!last) return;
  __threadfence();
  const int lane = threadIdx.x & 31;
  const std::uint32_t first = p.cta_entry[part * p.k_groups];
  const std::uint32_t end = p.cta_entry[part * p.k_groups + 1];
  for (std::uint32_t e = first + (threadIdx.x >> 5); e < end; e += gather8_warps) {
    const std::int32_t row = p.entry_rows[e * gather8_tile_rows + (lane >> 2)];
#pragma unroll
    for (int q = 0; q < planes; ++q) {
      float2 sum = make_float2(0.0f, 0.0f);
      for (int g = 0; g < p.k_groups; ++g) {
        // The part's K groups hold the same rows in the same order.
        const std::int64_t entry = p.cta_entry[part * p.k_groups + g] + (e - first);
        const float2 v =
            __ldcg(reinterpret_cast<const float2*>(p.partial) + (entry * planes + q) * 32 + lane);
        sum.x += v.x;
        sum.y += v.y;
      }
      const int token = 8 * q + 2 * (lane & 3);
      if (row >= 0 && token < p.tokens) store_output(p.epilogue, row, token, sum.x);
      if (row >= 0 && token + 1 < p.tokens) store_output(p.epilogue, row, token + 1, sum.y);
    }
  }
}

template <class T, int planes, int stages>
__global__ void __launch_bounds__(gather8_warps * 32, 1)
    gather8_kernel(const __grid_constant__ Gather8Params<T> p) {
  extern __shared__ __align__(128) std::byte shared[];
  let_successor_start();
  const int warp = threadIdx.x >> 5;
  float* slots = reinterpret_cast<float*>(shared);
  const std::uint32_t ring = shared_address(shared) + Gather8Shared<planes>::slots_bytes;
  const std::uint32_t x = ring + gather8_warps * stages * stage_bytes;
  Gather8Warp<T, planes, stages> work(p, x, ring + static_cast<std::uint32_t>(warp) * stages * stage_bytes,
                                      slots);
  work.prefetch();
  wait_for_predecessor();
  const bool non_finite =
      load_activations<T, planes>(x, p.x, p.cols, static_cast<std::int64_t>(work.group()) * p.k_extent,
                                  work.extent(), p.k_extent, p.tokens);
  if (__syncthreads_or(non_finite))
    work.template run<true>();
  else
    work.template run<false>();
  __syncthreads();
  work.reduce();
  if (p.k_groups > 1) combine_groups<T, planes>(p);
}

/// Where the kept weights of a packed matrix lie, and where they go.
struct Gather8ExpandParams {
  const std::byte* stream;
  const std::uint32_t* cta_entry;
  const std::uint32_t* entry_end;
  const std::int32_t* entry_rows;
  const std::uint16_t* entry_starts;
  std::uint16_t* out;  ///< [rows, cols], zeros
  std::int64_t cols;
  std::int32_t k_groups, k_extent;
};

/// A warp walks one entry after the other and stores every weight where it belongs.
__global__ void gather8_expand_kernel(const __grid_constant__ Gather8ExpandParams p) {
  const int lane = threadIdx.x & 31;
  const std::int64_t k0 = static_cast<std::int64_t>(static_cast<int>(blockIdx.x) % p.k_groups) * p.k_extent;
  for (std::uint32_t e = p.cta_entry[blockIdx.x] + (threadIdx.x >> 5); e < p.cta_entry[blockIdx.x + 1];
       e += gather8_warps) {
    const std::int64_t row = p.entry_rows[e * gather8_tile_rows + formats::gpu::gather8_row(lane)];
    int position = p.entry_starts[e * 32 + lane];
    const std::uint32_t end = p.entry_end[e];
    for (std::uint32_t b = e == 0 ? 0 : p.entry_end[e - 1]; b < end; ++b) {
      const std::byte* block = p.stream + static_cast<std::uint64_t>(b) * gather8_block_bytes;
      const auto deltas = reinterpret_cast<const std::uint32_t*>(block)[lane];
      const auto* values = reinterpret_cast<const std::uint16_t*>(block + gather8_values_at);
#pragma unroll
      for (int s = 0; s < gather8_block_steps; ++s) {
        position += static_cast<std::int8_t>(deltas >> (8 * s));
        const std::uint16_t bits = values[formats::gpu::gather8_value_index(lane, s)];
        if (bits != 0 && row >= 0) p.out[row * p.cols + k0 + formats::gpu::gather8_position(position)] = bits;
      }
    }
  }
}

}  // namespace cross::kernels::cuda::CROSS_GPU_ARCH
