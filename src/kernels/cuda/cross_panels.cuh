// y = activation(W·x + bias) + residual for cross_panels: one persistent launch in which tensor cores and
// CUDA cores work at the same time on two lists of the same output tile (docs/gpu.md).
#pragma once

#include "kernels/cuda/cross_panels_tensor.cuh"

namespace cross::kernels::cuda::cross_panels {

/// One warp: planes of x and packed weights of every tensor step, in order. The first CTA of a cluster copies
/// high parts to both, the second low parts.
__device__ __forceinline__ void copy_steps(const Params& p, const Shared& shared, std::uint32_t begin,
                                           std::uint32_t end) {
  const int lane = static_cast<int>(threadIdx.x) & 31, share = share_of_cta();
  Ring ring(p.step_stages);
  for (std::uint32_t i = begin; i < end; ++i) {
    const CrossPiece piece = p.pieces[i];
    const std::byte* planes =
        p.planes + static_cast<std::int64_t>(piece.tile) * p.k_steps * planes_bytes + share * plane_bytes;
    for (std::uint32_t first = 0; first < piece.steps; first += 32) {
      const std::uint32_t count = min(32u, piece.steps - first);
      // The directory comes 32 steps at a time, one a lane: K step, place, units of four halves.
      uint4 mine = {};
      if (static_cast<std::uint32_t>(lane) < count)
        mine = *reinterpret_cast<const uint4*>(p.steps + piece.first_step + first + lane);
      const std::uint32_t own = share == 0 ? mine.z : mine.w;
      mine.y += share == 0 ? 0 : (mine.z & 0xffffu) + (mine.z >> 16);
      for (std::uint32_t s = 0; s < count; ++s) {
        const auto from = static_cast<int>(s);
        const std::uint32_t k_step = __shfl_sync(~0u, mine.x, from), at = __shfl_sync(~0u, mine.y, from),
                            units = __shfl_sync(~0u, own, from);
        const std::uint32_t half0 = cross_unit * (units & 0xffffu), half1 = cross_unit * (units >> 16);
        const std::uint32_t full = shared.full + 8 * ring.stage;
        barrier_wait(shared.empty + 8 * ring.stage, ring.parity ^ 1);
        if (elect_one()) {
          asm volatile("st.shared.v2.b32 [%0], {%1, %2};" ::"r"(shared.halves + 8 * ring.stage), "r"(half0),
                       "r"(half1)
                       : "memory");
          expect_bytes(full, planes_bytes + half0 + half1);
          if (units != 0)
            bulk_copy(shared.weights + ring.stage * p.step_bytes,
                      p.values + static_cast<std::int64_t>(at) * cross_unit, half0 + half1, full);
          bulk_copy_to_both(shared.planes + ring.stage * planes_bytes + share * plane_bytes,
                            planes + static_cast<std::int64_t>(k_step) * planes_bytes, plane_bytes, full);
        }
        __syncwarp();
        ring.next();
      }
    }
  }
}

/// One warp: windows of x and lists of every gather chunk, once for every 32 tokens.
__device__ __forceinline__ void copy_chunks(const Params& p, const Shared& shared, std::uint32_t begin,
                                            std::uint32_t end) {
  Ring ring(p.chunk_stages);
  for (std::uint32_t i = begin; i < end; ++i) {
    const CrossPiece piece = p.pieces[i];
    const std::uint32_t first_chunk = first_chunk_of(piece), chunks = chunks_of(piece);
    if (chunks == 0) continue;
    const int groups = groups_of(p, piece);
    for (int group = 0; group < groups; ++group) {
      const std::byte* columns = p.columns + (static_cast<std::int64_t>(piece.tile) * tile_groups + group) *
                                                 p.k_steps * columns_bytes;
      for (std::uint32_t c = 0; c < chunks; ++c) {
        const CrossChunk& chunk = p.chunks[first_chunk + c];
        barrier_wait(shared.chunk_empty + 8 * ring.stage, ring.parity ^ 1);
        if (elect_one()) {
          const std::uint32_t full = shared.chunk_full + 8 * ring.stage;
          expect_bytes(full, chunk.steps * columns_bytes + chunk.bytes);
          bulk_copy(shared.lists + ring.stage * p.chunk_bytes,
                    p.values + static_cast<std::int64_t>(chunk.at) * cross_unit, chunk.bytes, full);
          for (std::uint32_t j = 0; j < chunk.steps; ++j)
            bulk_copy(shared.windows + ring.stage * window_slot + j * columns_bytes,
                      columns + static_cast<std::int64_t>(chunk.k_step[j]) * columns_bytes, columns_bytes,
                      full);
        }
        __syncwarp();
        ring.next();
      }
    }
  }
}

__device__ __forceinline__ void multiply_add(float (&sum)[4], float w, const uint4& x) {
  sum[0] = fmaf(w, __uint_as_float(x.x), sum[0]);
  sum[1] = fmaf(w, __uint_as_float(x.y), sum[1]);
  sum[2] = fmaf(w, __uint_as_float(x.z), sum[2]);
  sum[3] = fmaf(w, __uint_as_float(x.w), sum[3]);
}

/// The sparse unit: per kept weight a row of x from shared memory. Eight lanes have 32 tokens, four a lane; a
/// warp works on four rows of W at a time and keeps the sums of 32 rows in registers.
__device__ __forceinline__ void run_gather_unit(const Params& p, const Shared& shared, std::uint32_t begin,
                                                std::uint32_t end, int thread) {
  const int lane = thread & 31, warp = thread >> 5, q = lane >> 3, part = lane & 7;
  Ring ring(p.chunk_stages), buffer(2);
#pragma unroll 1
  for (std::uint32_t i = begin; i < end; ++i) {
    const CrossPiece piece = p.pieces[i];
    const std::uint32_t chunks = chunks_of(piece);
    if (chunks == 0) continue;
    const int groups = groups_of(p, piece);
    barrier_wait(shared.sums_empty + 8 * buffer.stage, buffer.parity ^ 1);
    float* out = p.gathered + (static_cast<std::int64_t>(blockIdx.x) * 2 + buffer.stage) * tile_floats +
                 (32 * warp + q) * cross_tokens + 4 * part;
#pragma unroll 1
    for (int group = 0; group < groups; ++group) {
      float sum[8][4] = {};
#pragma unroll 1
      for (std::uint32_t c = 0; c < chunks; ++c) {
        barrier_wait(shared.chunk_full + 8 * ring.stage, ring.parity);
        const std::uint32_t base = shared.lists + ring.stage * p.chunk_bytes;
        const std::uint32_t x =
            shared.windows + ring.stage * window_slot + static_cast<std::uint32_t>(part) * 16;
        const std::uint32_t values = base + cross_chunk_header + static_cast<std::uint32_t>(q) * 8;
        const std::uint32_t places = base + cross_chunk_header +
                                     load_shared_u16(base + 2 * cross_lists) * cross_pair_values +
                                     static_cast<std::uint32_t>(q) * 4;
        std::uint32_t pair = load_shared_u16(base + static_cast<std::uint32_t>(warp) * 16);
#pragma unroll
        for (int row = 0; row < 8; ++row) {
          const std::uint32_t last = load_shared_u16(base + static_cast<std::uint32_t>(warp) * 16 +
                                                     2 * static_cast<std::uint32_t>(row) + 2);
#pragma unroll 2
          for (; pair < last; ++pair) {
            const uint2 w = load_shared8(values + pair * cross_pair_values);
            const std::uint32_t at = load_shared(places + pair * 16);
            const uint4 x0 = load_shared16(x + (at & 0xffffu)), x1 = load_shared16(x + (at >> 16));
            multiply_add(sum[row], __uint_as_float(w.x), x0);
            multiply_add(sum[row], __uint_as_float(w.y), x1);
          }
        }
        barrier_arrive(shared.chunk_empty + 8 * ring.stage);
        ring.next();
      }
#pragma unroll
      for (int row = 0; row < 8; ++row)
        __stcg(reinterpret_cast<float4*>(out + 4 * row * cross_tokens + group * group_tokens),
               make_float4(sum[row][0], sum[row][1], sum[row][2], sum[row][3]));
    }
    __threadfence_block();
    barrier_arrive(shared.sums_full + 8 * buffer.stage);
    buffer.next();
  }
}

__device__ __forceinline__ void init_barriers(const Params& p, const Shared& shared) {
  if (threadIdx.x == 0) {
    for (std::uint32_t s = 0; s < static_cast<std::uint32_t>(p.step_stages); ++s) {
      barrier_init(shared.full + 8 * s, 1);
      barrier_init(shared.empty + 8 * s, step_releases);
    }
    for (std::uint32_t s = 0; s < static_cast<std::uint32_t>(p.chunk_stages); ++s) {
      barrier_init(shared.chunk_full + 8 * s, 1);
      barrier_init(shared.chunk_empty + 8 * s, gather_threads);
    }
    for (std::uint32_t s = 0; s < 2; ++s) {
      barrier_init(shared.sums_full + 8 * s, gather_threads);
      barrier_init(shared.sums_empty + 8 * s, tensor_threads);
    }
    fence_barrier_init();
  }
  // The row of zeros behind every window, for filling.
  for (std::uint32_t i = threadIdx.x; i < static_cast<std::uint32_t>(p.chunk_stages) * 32; i += threads)
    store_shared4(shared.windows + i / 32 * window_slot + window_bytes + i % 32 * 4, 0);
}

static __global__ void __launch_bounds__(threads, 1) kernel(const __grid_constant__ Params p) {
  extern __shared__ __align__(1024) std::byte memory[];
  const Shared shared((shared_address(memory) + 1023) & ~1023u, p);
  init_barriers(p, shared);
  __syncthreads();
  cluster_arrive();
  const std::uint32_t cluster = blockIdx.x / cross_shares;
  const std::uint32_t begin = p.worker_pieces[cluster], end = p.worker_pieces[cluster + 1];
  cluster_wait();
  wait_for_predecessor();
  const int warp_group = static_cast<int>(threadIdx.x) >> 7;
  if (threadIdx.x == 0) stamp(p, cluster, 0);
  if (warp_group == 0) {
    fewer_registers<24>();
    if (threadIdx.x < 32)
      copy_steps(p, shared, begin, end);
    else if (threadIdx.x < 64)
      copy_chunks(p, shared, begin, end);
  } else if (warp_group == 3) {
    fewer_registers<72>();
    run_gather_unit(p, shared, begin, end, static_cast<int>(threadIdx.x) - 384);
    stamp(p, cluster, 2);
  } else {
    more_registers<208>();
    run_tensor_unit(p, shared, begin, end, static_cast<int>(threadIdx.x) - 128);
    stamp(p, cluster, 1);
  }
  // The other CTA may still copy to this one's shared memory, or give a stage back.
  __syncwarp();
  cluster_arrive();
  cluster_wait();
}

}  // namespace cross::kernels::cuda::cross_panels
