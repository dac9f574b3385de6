// bitmap_planes: weights expanded from their bitmap in registers, then multiplied by dense tensor cores
// (plan/formats/gpu/bitmap_planes.h).
//
//     Y[16 tile + r, n] += A[r, k] · X[k, n]      a block of 16 x 128 weights: eight steps of mma m16n8k16 a
//     lane
//
// CTA (part, slice) works on a run of row tiles and a range of K; that range of X stays in its shared memory.
// Its warps share its blocks evenly, tile by tile, cutting tiles where needed; the warp in which a cut tile
// began adds the parts in order. The K slices of a tile are added by the last CTA to arrive, in order. So
// results are bitwise reproducible.
#pragma once

#include "kernels/cuda/bitmap_planes_types.cuh"
#include "kernels/cuda/bulk_copy.cuh"
#include "kernels/cuda/epilogue.cuh"
#include "kernels/cuda/gpu_kernel.h"
#include "kernels/cuda/resident_activations.cuh"
#include "kernels/cuda/wgmma.cuh"
#include "plan/formats/gpu/bitmap_planes.h"

namespace cross::kernels::cuda::CROSS_GPU_ARCH {

template <class T, class Tile>
class BitmapWarp {
  static constexpr int row_tiles = Tile::row_tiles, eights = Tile::eights, warps = Tile::warps;
  static constexpr int together = Tile::together;
  using Sums = TileSums<row_tiles, eights>;

 public:
  /// @param ring  the warp's, `depth` places of row_tiles blocks;  barriers  its 8-byte barriers, one a place
  __device__ BitmapWarp(const BitmapPlanesParams<T>& params, const ResidentActivations& x, float4* slots,
                        std::uint32_t ring, std::uint32_t barriers)
      : p_(params),
        x_(x),
        slots_(slots),
        ring_(ring),
        barriers_(barriers),
        lane_(threadIdx.x & 31),
        warp_(threadIdx.x >> 5) {
    const unsigned part = blockIdx.x / static_cast<unsigned>(p_.slices);
    slice_ = static_cast<int>(blockIdx.x - part * static_cast<unsigned>(p_.slices));
    k_begin_ = p_.k_shares.begin(slice_);
    k_count_ = p_.k_shares.begin(slice_ + 1) - k_begin_;
    group_begin_ = p_.group_shares.begin(static_cast<int>(part));
    units_ = (p_.group_shares.begin(static_cast<int>(part) + 1) - group_begin_) * k_count_;
    begin_ = first_unit(warp_ / together);
    end_ = first_unit(warp_ / together + 1);
  }

  __device__ int first_block() const { return k_begin_; }
  __device__ int block_count() const { return k_count_; }

  __device__ void prepare() {
    if (lane_ == 0) {
      for (int d = 0; d < p_.depth; ++d)
        barrier_init(barriers_ + static_cast<std::uint32_t>(d) * 8, copy_arrivals());
      fence_barrier_init();
    }
    __syncwarp();
    policy_ = evict_first_policy();
    look_up(begin_);
  }
  /// Fills the ring.
  __device__ void prefetch() {
    for (int d = 0; d < p_.depth; ++d) copy_unit(begin_ + d, d);
  }

  /// Multiplies the warp's units; then, after a block-wide barrier, the warp in which a cut tile began adds
  /// the parts of the warps after it. One loop, so that the code that finishes a tile is there once: it must
  /// come from memory in every launch.
  __device__ void run() {
    clear();
    int place = 0, group = group_begin_ + begin_ / k_count_, k = begin_ % k_count_;
    int segment = k;     // where this warp's part of the tile began
    bool holds = false;  // a tile began in this warp and goes on in the next
    std::uint32_t parity = 0;
    for (int unit = begin_;; ++unit) {
      if (unit < end_) {
        barrier_wait(barriers_ + static_cast<std::uint32_t>(place) * 8, parity);
        multiply(ring_ + static_cast<std::uint32_t>(place * row_tiles) * p_.place_bytes,
                 x_.base + static_cast<std::uint32_t>(k) * (2 * x_.chunk_bytes));
        __syncwarp();
        copy_unit(unit + p_.depth, place);
        if (++place == p_.depth) {
          place = 0;
          parity ^= 1;
        }
        if (++k < k_count_ && unit + 1 < end_) continue;
        check_sums(group, segment, k);
        holds = segment == 0 && k < k_count_;
        if (holds) continue;
        if (segment > 0) store_slot();
      } else {
        __syncthreads();
        if (!holds) return;
        add_slots(group);
      }
      if (segment == 0) finish_tile(group);
      if (unit >= end_) return;
      clear();
      segment = k = 0;
      ++group;
    }
  }

 private:
  __device__ int first_unit(int worker) const { return EvenShares(units_, Tile::workers).begin(worker); }

  /// The warp's tiles in a group.
  __device__ std::int64_t first_tile(int group) const {
    return (static_cast<std::int64_t>(group) * together + warp_ % together) * row_tiles;
  }

  template <class F>
  __device__ __forceinline__ void for_each_quad(F f) {
#pragma unroll
    for (int r = 0; r < row_tiles; ++r)
#pragma unroll
      for (int e = 0; e < eights; ++e) f(r * eights + e, sums_.v[r][e]);
  }
  __device__ void clear() {
    for_each_quad([](int, float(&v)[4]) { v[0] = v[1] = v[2] = v[3] = 0.0f; });
  }

  /// Looks up 32 units at once: where their blocks begin and where the next ones do, in units of 16 bytes.
  __device__ void look_up(int unit) {
    unit += lane_;
    if (unit >= end_) return;
    const std::int64_t tile = first_tile(group_begin_ + unit / k_count_);
#pragma unroll
    for (int r = 0; r < row_tiles; ++r) {
      const std::uint32_t* at = p_.index + (tile + r) * p_.k_blocks + k_begin_ + unit % k_count_;
      from_[r] = __ldg(at);
      next_[r] = __ldg(at + 1);
    }
  }

  /// Starts the copy of a unit, row_tiles blocks, into its ring place; nothing past the last unit.
  __device__ void copy_unit(int unit, int place) {
    if (unit >= end_) return;
    const int column = (unit - begin_) & 31;
    if (column == 0 && unit != begin_) look_up(unit);
    const std::uint32_t barrier = barriers_ + static_cast<std::uint32_t>(place) * 8;
    std::uint32_t from[row_tiles], bytes[row_tiles], sum = 0;
#pragma unroll
    for (int r = 0; r < row_tiles; ++r) {
      from[r] = __shfl_sync(0xffffffffu, from_[r], column);
      bytes[r] = (__shfl_sync(0xffffffffu, next_[r], column) - from[r]) * bitmap_planes_align;
      sum += bytes[r];
    }
    expect_copies(barrier, sum);
#pragma unroll
    for (int r = 0; r < row_tiles; ++r)
      copy_to_shared(ring_ + static_cast<std::uint32_t>(place * row_tiles + r) * p_.place_bytes,
                     p_.blocks + static_cast<std::uint64_t>(from[r]) * bitmap_planes_align, bytes[r], barrier,
                     policy_);
    end_copies(barrier);
  }

  /// One block of each of the warp's tiles; `x` is where its columns of X begin.
  __device__ __forceinline__ void multiply(std::uint32_t block, std::uint32_t x) {
    std::uint32_t mask[row_tiles][2];
    ValueWindow values[row_tiles];
#pragma unroll
    for (int r = 0; r < row_tiles; ++r)
      values[r] = open_block(block + static_cast<std::uint32_t>(r) * p_.place_bytes, lane_, mask[r]);
    if constexpr (together == 4)
      multiply_together(mask[0], values[0], x);
    else
      multiply_alone(mask, values, x);
  }

  __device__ __forceinline__ void multiply_alone(const std::uint32_t (&mask)[row_tiles][2],
                                                 ValueWindow (&values)[row_tiles], std::uint32_t x) {
    // Lane l of ldmatrix names row l mod 8 (token) of matrix l / 8 (eight columns); four pieces further on
    // the swizzle differs in one bit.
    const std::uint32_t x_lane =
        static_cast<std::uint32_t>((lane_ & 7) * 128 + ((lane_ >> 3 ^ lane_) & 7) * 16);
#pragma unroll
    for (int s = 0; s < bitmap_planes_steps; s += 2) {
      const std::uint32_t at =
          x + static_cast<std::uint32_t>(s / 4) * (eights * 1024) + (s % 4 == 0 ? x_lane : x_lane ^ 64);
      std::uint32_t b[eights][4];
#pragma unroll
      for (int e = 0; e < eights; ++e) load_matrices(b[e], at + static_cast<std::uint32_t>(e * 1024));
#pragma unroll
      for (int i = 0; i < 2; ++i)
#pragma unroll
        for (int r = 0; r < row_tiles; ++r) {
          std::uint32_t a[4];
          values[r].step(mask[r][s / 4], s % 4 + i, p_.factors, a);
#pragma unroll
          for (int e = 0; e < eights; ++e) mma_dense<T>(sums_.v[r][e], a, b[e][2 * i], b[e][2 * i + 1]);
        }
    }
  }

  __device__ __forceinline__ void multiply_together(const std::uint32_t (&mask)[2], ValueWindow& values,
                                                    std::uint32_t x) {
#if __CUDA_ARCH__ >= 900
    std::uint32_t a[2][4];  // one is filled while tensor cores read the other
    const std::uint64_t descriptor = swizzled_descriptor(x);
#pragma unroll
    for (int s = 0; s < bitmap_planes_steps; ++s) {
      if (s >= 2) {
        wgmma_wait<1>();
        hold_registers(a[s % 2]);
      }
      values.step(mask[s / 4], s % 4, p_.factors, a[s % 2]);
      wgmma_fence();
      wgmma<T>(sums_.v[0], a[s % 2],
               descriptor + static_cast<std::uint64_t>(s / 4 * (eights * 64) + s % 4 * 2));
      wgmma_commit();
    }
    wgmma_wait<0>();
    hold_registers(a[0]);
    hold_registers(a[1]);
    for (int e = 0; e < eights; ++e) hold_registers(sums_.v[0][e]);
#endif
  }

  /// Inf or NaN in X reaches every sum of its token, through the zeros of pruned weights too. Then the warp's
  /// part of the tile, K blocks [k0, k1) of the slice, is summed up again weight by weight.
  __device__ void check_sums(int group, int k0, int k1) {
    float check = 0.0f;
    for_each_quad([&](int, const float(&v)[4]) {
#pragma unroll
      for (int j = 0; j < 4; ++j) check = fmaf(v[j], 0.0f, check);
    });
    if (__any_sync(0xffffffffu, check != 0.0f)) sum_exactly(group, k0, k1);  // NaN differs from 0
  }

  __device__ void store_slot() {
    for_each_quad([&](int q, const float(&v)[4]) {
      slots_[(warp_ * Sums::quads + q) * 32 + lane_] = make_float4(v[0], v[1], v[2], v[3]);
    });
  }
  /// Adds what the warps after this one have of the tile, in their order.
  __device__ void add_slots(int group) {
    const int tile_end = (group - group_begin_ + 1) * k_count_;
    for (int w = warp_ / together + 1; w < Tile::workers && first_unit(w) < tile_end; ++w)
      if (first_unit(w) < first_unit(w + 1))
        add_sums<false>(slots_ + (w * together + warp_ % together) * Sums::quads * 32 + lane_);
  }
  /// @tparam remote  written by other SMs: not to be read from L1
  template <bool remote>
  __device__ void add_sums(const float4* from) {
    for_each_quad([&](int q, float(&v)[4]) {
      const float4 part = remote ? __ldcg(from + q * 32) : from[q * 32];
      v[0] += part.x;
      v[1] += part.y;
      v[2] += part.z;
      v[3] += part.w;
    });
  }

  /// The same sums without tensor cores, from the blocks in global memory: every lane walks the weights of
  /// its quad and keeps its own tokens.
  __device__ void sum_exactly(int group, int k0, int k1) {
    clear();
    for (int k = k0; k < k1; ++k)
#pragma unroll
      for (int r = 0; r < row_tiles; ++r) {
        const std::int64_t number = (first_tile(group) + r) * p_.k_blocks + k_begin_ + k;
        const std::byte* block =
            p_.blocks + static_cast<std::uint64_t>(p_.index[number]) * bitmap_planes_align;
        const auto* start = reinterpret_cast<const std::uint16_t*>(block);
        const auto* masks =
            reinterpret_cast<const std::uint32_t*>(block + formats::gpu::bitmap_planes_mask_at);
        const auto* values =
            reinterpret_cast<const std::uint8_t*>(block + formats::gpu::bitmap_planes_values_at);
        std::uint32_t next = start[lane_ >> 2];
#pragma unroll 1
        for (int position = 0; position < 4 * 64; ++position) {  // lane of the quad, step, half, i
          const int lane = (lane_ & ~3) + (position >> 6), step = position >> 3 & 7, half = position >> 2 & 1,
                    i = position & 3;
          const std::uint32_t mask = masks[2 * lane + (step >> 2)];
          if ((mask >> formats::gpu::bitmap_planes_bit(step, half, i) & 1) == 0) continue;
          const std::uint32_t at = formats::gpu::bitmap_planes_value_at(next++);
          const float weight =
              to_float(from_bits<T>(static_cast<std::uint16_t>(values[at] | values[at + 4] << 8)));
          const int column = k * bitmap_planes_cols + formats::gpu::bitmap_planes_column(lane, step, i);
#pragma unroll
          for (int e = 0; e < eights; ++e)
#pragma unroll
            for (int j = 0; j < 2; ++j) {
              const float x =
                  to_float(from_bits<T>(load_shared_u16(x_.at(e * 8 + 2 * (lane_ & 3) + j, column))));
              if (half == 0)
                sums_.v[r][e][j] = fmaf(weight, x, sums_.v[r][e][j]);
              else
                sums_.v[r][e][2 + j] = fmaf(weight, x, sums_.v[r][e][2 + j]);
            }
        }
      }
    __syncwarp();
  }

  /// The sums of a whole tile in this slice of K: stored, or, where there are several slices, left for the
  /// last of them. A *share* is what one warp has of a group.
  __device__ void finish_tile(int group) {
    int first = group * together + warp_ % together, last = first + 1;
    if (p_.slices > 1) {
      float4* to = share_sums(first) + slice_ * (Sums::quads * 32);
      for_each_quad(
          [&](int q, const float(&v)[4]) { __stcg(to + q * 32, make_float4(v[0], v[1], v[2], v[3])); });
      __syncwarp();
      const int counter = first / p_.shares_per_counter;
      first = counter * p_.shares_per_counter;
      last = min(first + p_.shares_per_counter, p_.groups * together);
      std::uint32_t arrived = 0;
      if (lane_ == 0) arrived = arrive(p_.counters + counter) + 1;
      arrived = __shfl_sync(0xffffffffu, arrived, 0);
      __syncwarp();  // what lane 0 may see now, all may
      if (arrived != static_cast<std::uint32_t>((last - first) * p_.slices)) return;
      if (lane_ == 0) p_.counters[counter] = 0;
    }
#pragma unroll 1
    for (int share = first; share < last; ++share) {
      if (p_.slices > 1) {
        clear();
        const float4* from = share_sums(share);
// Two slices at once: what this waits for is latency.
#pragma unroll 2
        for (int s = 0; s < p_.slices; ++s) add_sums<true>(from + s * Sums::quads * 32);
      }
      store_outputs(share);
    }
  }
  /// The lane's partial sums of a share, slice 0.
  __device__ float4* share_sums(int share) const {
    return p_.partial + static_cast<std::int64_t>(share) * p_.slices * (Sums::quads * 32) + lane_;
  }

  __device__ void store_outputs(int share) {
    const bool plain = p_.epilogue.bias == nullptr && p_.epilogue.residual == nullptr &&
                       p_.epilogue.activation == Activation::none;
#pragma unroll
    for (int r = 0; r < row_tiles; ++r)
#pragma unroll
      for (int e = 0; e < eights; ++e)
#pragma unroll
        for (int j = 0; j < 4; ++j) {
          const std::int64_t row =
              (static_cast<std::int64_t>(share) * row_tiles + r) * 16 + (lane_ >> 2) + 8 * (j >> 1);
          const int token = e * 8 + 2 * (lane_ & 3) + (j & 1);
          if (row >= p_.epilogue.rows || token >= p_.tokens) continue;
          if (plain)
            p_.epilogue.y[token * p_.epilogue.rows + row] = from_float<T>(sums_.v[r][e][j]);
          else
            store_output_called(p_.epilogue, row, token, sums_.v[r][e][j]);
        }
  }

  const BitmapPlanesParams<T>& p_;
  ResidentActivations x_;
  float4* slots_;
  std::uint32_t ring_, barriers_;
  int lane_, warp_;
  int slice_, k_begin_, k_count_, group_begin_, units_;  ///< of the CTA
  int begin_, end_;                                      ///< units of the warp
  std::uint32_t from_[row_tiles] = {}, next_[row_tiles] = {};
  std::uint64_t policy_ = 0;
  Sums sums_;
};

template <class T, class Tile>
__global__ void __launch_bounds__(Tile::warps * 32, 1)
    bitmap_planes_kernel(const __grid_constant__ BitmapPlanesParams<T> p) {
  // X, cut tiles, rings, what the last window sees past its block, barriers.
  extern __shared__ __align__(1024) std::byte shared[];
  let_successor_start();
  const int warp = threadIdx.x >> 5;
  const ResidentActivations x{shared_address(shared), Tile::eights * 1024};
  const std::uint32_t x_bytes = x.chunk_bytes * p.x_chunks;
  float4* slots = Tile::slots_in_shared ? reinterpret_cast<float4*>(shared + x_bytes)
                                        : p.slots + static_cast<std::int64_t>(blockIdx.x) *
                                                        (Tile::warps * Tile::slot_bytes / sizeof(float4));
  const std::uint32_t rings =
      x.base + x_bytes +
      static_cast<std::uint32_t>(Tile::slots_in_shared ? Tile::warps * Tile::slot_bytes : 0);
  const std::uint32_t ring_bytes = static_cast<std::uint32_t>(p.depth * Tile::row_tiles) * p.place_bytes;
  const std::uint32_t barriers = rings + Tile::warps * ring_bytes + 128;
  BitmapWarp<T, Tile> work(p, x, slots, rings + static_cast<std::uint32_t>(warp) * ring_bytes,
                           barriers + static_cast<std::uint32_t>(warp) * (bitmap_max_depth * 8));
  work.prepare();
  // X first, unless it has to be waited for: on its way behind a ring full of weights it would come too late.
  if (p.weights_first) work.prefetch();
  wait_for_predecessor();
  load_resident_activations(x, p.x, p.cols,
                            static_cast<std::int64_t>(work.first_block()) * bitmap_planes_cols,
                            work.block_count() * bitmap_planes_cols, p.tokens, Tile::eights * 8);
  if (!p.weights_first) work.prefetch();
  wait_copies<0>();
#if __CUDA_ARCH__ >= 900
  if constexpr (Tile::together > 1) fence_async_proxy();
#endif
  __syncthreads();
  work.run();
}

}  // namespace cross::kernels::cuda::CROSS_GPU_ARCH
