// The product of column_vectors (plan/formats/gpu/column_vectors.h): y = x·Wᵀ for W that keeps very little.
//
//   a CTA has a tile of rows and 64 tokens, and for each of its row tiles in turn
//     blocks of K     all columns of a block and 64 tokens come into one of two places of a ring
//     (transpose_columns.h)
//       steps         16 columns of a panel: the lanes name them, ldmatrix gathers them out of the place,
//                     m16n8k16 multiplies them with the panel's weights, which come from memory as operands
//
// The gather reads 64 tokens of a column in four loads of 16 bytes a row of ldmatrix, at full speed where the
// eight columns that are read together lie in different bank groups. Shared memory is what bounds it.
#pragma once

#include "kernels/cuda/epilogue.cuh"
#include "kernels/cuda/prefill/pipeline.cuh"
#include "kernels/cuda/prefill/transpose_columns.h"
#include "plan/formats/gpu/column_vectors.h"

namespace cross::kernels::cuda {

inline constexpr int vector_warps = 16;
inline constexpr int vector_threads = 32 * vector_warps;
inline constexpr int vector_places = 2;  ///< of the ring
inline constexpr int vector_groups = transposed_tokens / 16;
/// Columns that one copy brings.
inline constexpr int vector_copy_cols = 256;

template <class T>
struct ColumnVectorsParams {
  const std::byte* columns;  ///< x, column by column
  const std::uint32_t* begin;
  const std::uint16_t* place;
  const std::byte* weights;
  const T* x;  ///< [tokens, cols], for sums that are NaN
  EpilogueArgs<T> out;
  std::int64_t tokens, cols;  ///< cols a multiple of 8
  int panels, blocks, block_cols, row_tiles, all_tiles;
  std::uint32_t steps;
};

/// One output in the plainest way, kept weights only: Inf or NaN in x times the zeros of other rows' columns
/// is NaN.
template <class T>
__device__ __noinline__ float kept_sum(const ColumnVectorsParams<T>& p, int row, std::int64_t token) {
  using namespace formats::gpu;
  const int panel = row / column_vector_rows;
  const auto* bits = reinterpret_cast<const std::uint16_t*>(p.weights);
  float sum = 0.0f;
  for (int block = 0; block < p.blocks; ++block) {
    const std::uint32_t* const begin = p.begin + static_cast<std::int64_t>(panel) * p.blocks + block;
    const T* const x = p.x + token * p.cols + static_cast<std::int64_t>(block) * p.block_cols;
    for (std::uint32_t step = begin[0]; step < begin[1]; ++step)
      for (int slot = 0; slot < column_vector_slots; ++slot) {
        const std::uint16_t weight = bits[static_cast<std::size_t>(step) * column_vector_values +
                                          column_vector_at(row % column_vector_rows, slot)];
        if (weight == 0) continue;
        const int col = p.place[static_cast<std::size_t>(step) * column_vector_slots + slot] / 8;
        sum = fmaf(to_float(from_bits<T>(weight)), to_float(x[col]), sum);
      }
  }
  return sum;
}

template <class T>
__device__ __forceinline__ bool plain(const EpilogueArgs<T>& e) {
  return e.bias == nullptr && e.residual == nullptr && e.activation == Activation::none && e.rows % 4 == 0;
}

__device__ __forceinline__ bool any_nan(const float (&sum)[4]) {
  return sum[0] != sum[0] || sum[1] != sum[1] || sum[2] != sum[2] || sum[3] != sum[3];
}

/// Sums of four neighbouring rows of a token, none of them NaN, where outputs are plain.
template <class T>
__device__ __forceinline__ void store_four(const ColumnVectorsParams<T>& p, int row, std::int64_t token,
                                           const float (&sum)[4]) {
  if (token >= p.tokens || row >= p.out.rows) return;
  struct alignas(8) Four {
    T value[4];
  } four{{from_float<T>(sum[0]), from_float<T>(sum[1]), from_float<T>(sum[2]), from_float<T>(sum[3])}};
  *reinterpret_cast<Four*>(p.out.y + token * p.out.rows + row) = four;
}

template <class T>
__device__ __forceinline__ void store_any(const ColumnVectorsParams<T>& p, int row, std::int64_t token,
                                          float sum) {
  if (token >= p.tokens || row >= p.out.rows) return;
  if (sum != sum) sum = kept_sum(p, row, token);
  store_output(p.out, row, token, sum);
}

__device__ __forceinline__ void store_shared_four(std::uint32_t address, const float (&v)[4]) {
  asm volatile("st.shared.v4.f32 [%0], {%1, %2, %3, %4};" ::"r"(address), "f"(v[0]), "f"(v[1]), "f"(v[2]),
               "f"(v[3])
               : "memory");
}
__device__ __forceinline__ void load_shared_four(float (&v)[4], std::uint32_t address) {
  asm volatile("ld.shared.v4.f32 {%0, %1, %2, %3}, [%4];"
               : "=f"(v[0]), "=f"(v[1]), "=f"(v[2]), "=f"(v[3])
               : "r"(address));
}

/// What a lane reads of a step.
struct LaneOfSteps {
  const std::byte* weights;    ///< its 16 bytes of step 0
  const std::uint16_t* place;  ///< of the column of step 0 that it names to ldmatrix
  std::uint32_t half;          ///< 16 where it names the second eight tokens

  template <class T>
  __device__ __forceinline__ LaneOfSteps(const ColumnVectorsParams<T>& p, int lane)
      : weights(p.weights + lane * 16),
        // Matrices 0 and 1 of ldmatrix are the first eight columns, 2 and 3 the others.
        place(p.place + (lane >> 4) * 8 + (lane & 7)),
        half(static_cast<std::uint32_t>(lane >> 3 & 1) * 16) {}
};

/// A list of steps that a warp walks through, a step fetched ahead.
struct StepList {
  uint4 weights;
  std::uint32_t place;
  std::uint32_t at, stop;  ///< the step fetched, and the first that is not the block's

  __device__ __forceinline__ void fetch(const LaneOfSteps& lane) {
    using namespace formats::gpu;
    weights = load_stream16(lane.weights + static_cast<std::size_t>(at) * (2 * column_vector_values));
    place = __ldg(lane.place + static_cast<std::size_t>(at) * column_vector_slots);
  }
};

/// sums[16 tokens each][rows 4t, 4t + 1 | 4t + 2, 4t + 3] += the step's columns of the place at `shared`.
template <class T, int stride>
__device__ __forceinline__ void multiply_step(const LaneOfSteps& lane, float (&sums)[vector_groups][2][4],
                                              StepList& list, std::uint32_t shared) {
  const std::uint32_t column = (shared + list.place * 16) ^ lane.half;
  std::uint32_t x[vector_groups][4];
#pragma unroll
  for (int m = 0; m < vector_groups; ++m) load_matrices_transposed(x[m], column ^ 32u * m);
  const uint4 w = list.weights;
#pragma unroll
  for (int m = 0; m < vector_groups; ++m) {
    mma_dense<T>(sums[m][0], x[m], w.x, w.y);
    mma_dense<T>(sums[m][1], x[m], w.z, w.w);
  }
  list.at += stride;
  list.fetch(lane);
}

/// A warp's room for the sums of 16 tokens.
template <int panels>
inline constexpr int staged_bytes = 16 * panels* formats::gpu::column_vector_rows * 4;

/// A warp's sums, out: `token` is the lane's first. Through shared memory where there is more to do than to
/// round them, so that code for that exists once.
template <class T, int panels>
__device__ __forceinline__ void store_sums(const ColumnVectorsParams<T>& p,
                                           const float (&sums)[panels][vector_groups][2][4], int row0,
                                           std::int64_t token, std::uint32_t staged, int lane) {
  using namespace formats::gpu;
  // f(four, i, q): sums of four rows of panel q for the lane's token of the i-th eight.
  const auto each_four = [&](auto&& f) {
#pragma unroll
    for (int i = 0; i < 2 * vector_groups; ++i)
#pragma unroll
      for (int q = 0; q < panels; ++q) {
        const float(&s)[2][4] = sums[q][i / 2];
        const int h = i % 2;
        const float four[4] = {s[0][2 * h], s[0][2 * h + 1], s[1][2 * h], s[1][2 * h + 1]};
        f(four, i, q);
      }
  };
  bool nan = false;
  each_four([&](const float(&four)[4], int, int) { nan = nan || any_nan(four); });
  if (plain(p.out) && !__any_sync(~0u, nan)) {
    each_four([&](const float(&four)[4], int i, int q) {
      store_four(p, row0 + q * column_vector_rows + lane % 4 * 4, token + i * 8, four);
    });
    return;
  }
  constexpr int rows = panels * column_vector_rows, each = rows / 2;  // sums of 16 tokens that a lane stores
  const std::int64_t first = token - (lane >> 2);
  std::uint64_t nans = 0;  // a bit for each of the lane's: these come last, when sums need no registers
#pragma unroll 1
  for (int m = 0; m < vector_groups; ++m) {
    __syncwarp();
    each_four([&](const float(&four)[4], int i, int q) {
      if (i / 2 == m)
        store_shared_four(
            staged + ((i % 2 * 8 + (lane >> 2)) * rows + q * column_vector_rows + lane % 4 * 4) * 4, four);
    });
    __syncwarp();
#pragma unroll 1
    for (int i = 0; i < each; ++i) {
      const float sum = load_shared_float<0>(staged + (i * 32 + lane) * 4);
      const int row = row0 + (i * 32 + lane) % rows;
      const std::int64_t at = first + m * 16 + (i * 32 + lane) / rows;
      if (sum != sum)
        nans |= std::uint64_t{1} << (m * each + i);
      else if (at < p.tokens && row < p.out.rows)
        store_output(p.out, row, at, sum);
    }
  }
  for (; nans != 0; nans &= nans - 1) {
    const int bit = __ffsll(static_cast<long long>(nans)) - 1, i = bit % each * 32 + lane;
    store_any(p, row0 + i % rows, first + bit / each * 16 + i / rows, NAN);
  }
}

/// `panels` of a warp (1 or 2), or `sharing` warps to a panel, which deal its steps among them (then a CTA
/// has one tile). Two lists are walked through in turn, so that a step's weights are fetched two steps ahead.
template <class T, int panels, int sharing>
__global__ void __launch_bounds__(vector_threads, 1)
    column_vectors_kernel(const __grid_constant__ ColumnVectorsParams<T> p) {
  static_assert(panels == 1 || (panels == 2 && sharing == 1));
  using namespace formats::gpu;
  extern __shared__ __align__(1024) std::byte ring_bytes[];
  __shared__ __align__(8) std::uint64_t full_barriers[vector_places];
  __shared__ std::uint32_t done[vector_places];  ///< warps that have read a place, over all turns
  constexpr int tile_panels = vector_warps * panels / sharing;
  const int warp = static_cast<int>(threadIdx.x) >> 5, lane = static_cast<int>(threadIdx.x) & 31;
  const std::uint32_t full = shared_address(full_barriers),
                      ring = (shared_address(ring_bytes) + 1023) & ~1023u;
  const std::uint32_t place_bytes = p.block_cols * transposed_column_bytes;
  const int first = static_cast<int>(blockIdx.x), stride = static_cast<int>(gridDim.x);
  const int turns = ((p.all_tiles - first + stride - 1) / stride) * p.blocks;
  if (threadIdx.x == 0) {
    for (int i = 0; i < vector_places; ++i) {
      barrier_init(full + 8 * i, 1);
      done[i] = 0;
    }
    fence_barrier_init();
  }
  __syncthreads();
  let_successor_start();

  const auto bring = [&](int turn, int place) {
    const int tile = first + turn / p.blocks * stride, block = turn % p.blocks;
    const std::int64_t col = static_cast<std::int64_t>(block) * p.block_cols;
    const int cols = static_cast<int>(min(static_cast<std::int64_t>(p.block_cols), p.cols - col));
    const std::byte* from = p.columns + (tile / p.row_tiles * p.cols + col) * transposed_column_bytes;
    const std::uint32_t to = ring + place * place_bytes;
    arrive_expecting(full + 8 * place, cols * transposed_column_bytes);
    for (int c = 0; c < cols; c += vector_copy_cols)
      copy_bytes(to + c * transposed_column_bytes, from + c * transposed_column_bytes,
                 min(vector_copy_cols, cols - c) * transposed_column_bytes, full + 8 * place);
  };
  if (threadIdx.x == 0) {
    wait_for_predecessor();
    for (int turn = 0; turn < min(vector_places, turns); ++turn) bring(turn, turn);
  }

  const auto panel_of = [&](int tile) { return tile % p.row_tiles * tile_panels + warp * panels / sharing; };
  const auto begin_of = [&](int panel, int block) {
    return panel < p.panels ? __ldg(p.begin + static_cast<std::int64_t>(panel) * p.blocks + block) : p.steps;
  };
  const LaneOfSteps steps(p, lane);
  StepList lists[2];
  const auto open = [&](int tile) {
    const int panel = panel_of(tile);
#pragma unroll
    for (int q = 0; q < 2; ++q) {
      const int of = panels == 2 ? panel + q : panel;
      lists[q].at = begin_of(of, 0) + (panels == 2 ? 0 : q * sharing + warp % sharing);
      lists[q].stop = begin_of(of, of < p.panels ? 1 : 0);
      lists[q].fetch(steps);
    }
  };
  open(first);
  int turn = 0, place = 0;
  std::uint32_t parity = 0;
  float sums[panels][vector_groups][2][4];
  for (int tile = first; tile < p.all_tiles; tile += stride) {
    const int panel = panel_of(tile);
#pragma unroll
    for (int q = 0; q < panels; ++q)
#pragma unroll
      for (int i = 0; i < vector_groups * 8; ++i) sums[q][i / 8][i / 4 % 2][i % 4] = 0.0f;
    for (int block = 0; block < p.blocks; ++block, ++turn) {
      std::uint32_t next[2] = {0, 0};
      if (block + 1 < p.blocks)
#pragma unroll
        for (int q = 0; q < panels; ++q) next[q] = begin_of(panel + q, panel + q < p.panels ? block + 2 : 0);
      const std::uint32_t shared = ring + place * place_bytes;
      wait_in_cluster(full + 8 * place, parity);
      if constexpr (panels == 2) {
        const int both =
            min(static_cast<int>(lists[0].stop - lists[0].at), static_cast<int>(lists[1].stop - lists[1].at));
#pragma unroll 2
        for (int i = 0; i < both; ++i) {
          multiply_step<T, 1>(steps, sums[0], lists[0], shared);
          multiply_step<T, 1>(steps, sums[1], lists[1], shared);
        }
#pragma unroll
        for (int q = 0; q < 2; ++q)
          while (lists[q].at < lists[q].stop) multiply_step<T, 1>(steps, sums[q], lists[q], shared);
        lists[1].stop = next[1];
      } else {
        constexpr int two = 2 * sharing;
        while (lists[1].at < lists[0].stop) {
          multiply_step<T, two>(steps, sums[0], lists[0], shared);
          multiply_step<T, two>(steps, sums[0], lists[1], shared);
        }
        if (lists[0].at < lists[0].stop) {  // then the other list is in front
          multiply_step<T, two>(steps, sums[0], lists[0], shared);
          const StepList swapped = lists[0];
          lists[0] = lists[1];
          lists[1] = swapped;
        }
      }
      lists[0].stop = next[0];
      __syncwarp();
      // The last warp to have read a place has it filled again.
      if (lane == 0 && turn + vector_places < turns) {
        std::uint32_t before;
        asm volatile("atom.acq_rel.cta.shared::cta.add.u32 %0, [%1], 1;"
                     : "=r"(before)
                     : "r"(shared_address(done + place))
                     : "memory");
        if (before % vector_warps == vector_warps - 1) bring(turn + vector_places, place);
      }
      if (++place == vector_places) {
        place = 0;
        parity ^= 1;
      }
    }
    const std::int64_t token =
        static_cast<std::int64_t>(tile / p.row_tiles) * transposed_tokens + (lane >> 2);
    if constexpr (sharing == 1) {
      if (tile + stride < p.all_tiles) open(tile + stride);
      store_sums<T, panels>(p, sums, panel * column_vector_rows, token,
                            ring + vector_places * place_bytes + warp * staged_bytes<panels>, lane);
    } else {
      // The warps of a panel add their sums up: each an equal share of them, in the warps' order.
      constexpr int parts = vector_groups * 2, part_bytes = 32 * 16, warp_bytes = parts * part_bytes;
      __syncthreads();  // the ring is read
#pragma unroll
      for (int i = 0; i < parts; ++i) {
        const float(&s)[2][4] = sums[0][i / 2];
        const float four[4] = {s[0][i % 2 * 2], s[0][i % 2 * 2 + 1], s[1][i % 2 * 2], s[1][i % 2 * 2 + 1]};
        store_shared_four(ring + warp * warp_bytes + i * part_bytes + lane * 16, four);
      }
      __syncthreads();
      const int mine = warp % sharing;
#pragma unroll 1
      for (int j = 0; j < parts / sharing; ++j) {
        const int i = mine * (parts / sharing) + j;
        float four[4] = {0.0f, 0.0f, 0.0f, 0.0f};
#pragma unroll
        for (int w = 0; w < sharing; ++w) {
          float v[4];
          load_shared_four(v, ring + (warp - mine + w) * warp_bytes + i * part_bytes + lane * 16);
#pragma unroll
          for (int c = 0; c < 4; ++c) four[c] += v[c];
        }
        const int row = panel * column_vector_rows + lane % 4 * 4;
        const std::int64_t at = token + i / 2 * 16 + i % 2 * 8;
        if (plain(p.out) && !any_nan(four)) {
          store_four(p, row, at, four);
        } else {
#pragma unroll
          for (int c = 0; c < 4; ++c) store_any(p, row + c, at, four[c]);
        }
      }
      return;
    }
  }
}

}  // namespace cross::kernels::cuda
