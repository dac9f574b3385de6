// y = activation(W·x + bias) + residual in fp32 on CUDA cores, one kept weight at a time, for format
// row_lists:
//
//     sum[row][token] += w[row][k] · x[k][token]    for each entry (w, place of k) of a row's list
//
// A CTA has 32 tokens of a block of x in shared memory, a column in a line of 128 bytes. Eight lanes take a
// row, four tokens each, so a warp multiplies four weights of four rows by one 16-byte load a lane. Shared
// memory bounds it: four wavefronts for x, 1.3 for the weights, which come through a ring of the warp's own
// (docs/gpu/row_lists.md).
#pragma once

#include <type_traits>

#include "kernels/cuda/row_lists_sums.cuh"
#include "kernels/cuda/row_lists_x.cuh"

namespace cross::kernels::cuda::row_lists {

/// A warp's ring of pieces of its list, in flight by groups of copies.
template <class T>
struct Ring {
  static constexpr std::uint32_t ahead = T::ring_pieces - 2;
  const std::byte* from = nullptr;       ///< of this lane
  std::uint32_t to = 0, bytes = 0;       ///< of this lane; from `from` to the list's end
  std::uint32_t fetched = 0, ready = 0;  ///< bytes asked for; steps that are there

  __device__ __forceinline__ void piece() {
    if (fetched < bytes) copy16_async(to + fetched % T::ring_bytes, from + fetched);
    commit_copies();
    fetched += T::piece_bytes;
  }
  __device__ __forceinline__ void start(const Params& p, std::uint32_t step, std::uint32_t steps,
                                        std::uint32_t ring, std::uint32_t lane) {
    from = p.entries + std::uint64_t{step} * step_bytes + 16 * lane;
    keep(from);
    to = ring + 16 * lane;
    bytes = max(steps * step_bytes, 16 * lane) - 16 * lane;
    fetched = ready = 0;
#pragma unroll
    for (std::uint32_t i = 0; i < ahead; ++i) piece();
  }
  /// Until four steps from `at` on are there, if the list has so many. The place that is filled again was
  /// read two pieces ago.
  __device__ __forceinline__ void wait_for(std::uint32_t at) {
    if (at + 4 <= ready) return;
    wait_copies<static_cast<int>(ahead) - 1>();
    __syncwarp();
    piece();
    ready += T::piece_steps;
  }
};

/// @tparam wide  blocks have more than Columns::half_cols columns, and there may be several
template <class T, bool wide>
static __global__ void __launch_bounds__(threads, 1) kernel(const __grid_constant__ Params p) {
  extern __shared__ std::byte dynamic[];
  std::uint32_t base = shared_address(dynamic);
  keep(base);
  const std::uint32_t tid = threadIdx.x, lane = tid % 32, warp = __shfl_sync(~0u, tid / 32, 0);
  const std::uint32_t stream = lane / 8, unit = 16 * (lane % 8), sums = base + T::sums_at;
  const std::uint32_t inbox = base + T::inbox_at, heads = inbox + T::inbox_bytes(p.split_bits);
  const std::uint32_t x_shared = heads + T::x_at, counter = heads + T::counter_at;
  const std::int32_t block0 = p.blocks * static_cast<std::int32_t>(blockIdx.x) >> p.split_bits,
                     block_end = p.blocks * static_cast<std::int32_t>(blockIdx.x + 1) >> p.split_bits;
  wait_for_predecessor();
  const Columns x(p, blockIdx.z * tile_tokens, warp, lane, x_shared);
  Columns::Half x_first, x_second;
  x.load(p, block0, 0, x_first);
  if constexpr (wide) x.load(p, block0, 1, x_second);
  __syncwarp();  // x is asked for before anything is waited for
  const std::uint32_t panel0 = blockIdx.y * T::panels;
  const std::uint32_t quads = row_list_quads * min(T::panels, static_cast<std::uint32_t>(p.panels) - panel0);
  expect_sums<T>(p, counter);
  if (tid < 8)
    store_shared_floats4(x_shared + row_list_filling(p.block_cols) + 16 * tid, make_float4(0, 0, 0, 0));

#pragma unroll 1
  for (std::int32_t block = block0; block < (wide ? block_end : block0 + 1); ++block) {
    const std::uint32_t turn = static_cast<std::uint32_t>(block) & 1;
    const std::uint32_t begins = heads + T::begin_at + turn * T::begin_bytes,
                        orders = heads + T::order_at + turn * T::rows;
    const std::uint64_t panel =
        static_cast<std::uint64_t>(block) * static_cast<std::uint32_t>(p.panels) + panel0;
    const std::uint32_t* const begin = p.begin + row_list_quads * panel;
    const std::uint32_t first = load_global4(begin), last = load_global4(begin + quads);
    std::uint32_t own_begin = 0, own_order = 0, own_granule = 0;
    if (tid <= T::quads) own_begin = load_global4(begin + min(tid, quads));
    if (tid < quads) own_order = load_global4(p.order + row_list_rows * panel + 4 * tid);
    const bool has_granule = block == block0 && tid < quads / 2;
    if (has_granule) own_granule = load_global4(p.granules + panel0 * row_list_granules + tid);
    // The lists of the CTA's quads are one list, of which every warp has an even share.
    const auto share = [&](std::uint32_t w) { return (last - first) * w / warps; };
    const std::uint32_t from = share(warp), steps = share(warp + 1) - from;
    Ring<T> ring;
    ring.start(p, first + from, steps, base + warp * T::ring_bytes, lane);
    if (tid <= T::quads) store_shared4(begins + 4 * tid, own_begin - first);
    if (tid < quads) store_shared4(orders + 4 * tid, own_order);
    if (has_granule) store_shared4(heads + T::granules_at + 4 * tid, own_granule);
    x.store(p, block, 0, x_first);
    if constexpr (wide) x.store(p, block, 1, x_second);
    if (!p.aligned) x.copy_unaligned(p, block);
    __syncthreads();
    // As much of the next block as there are registers for; the rest when lists need them no more.
    if (wide && block + 1 < block_end) x.load(p, block + 1, 0, x_first);

    // The quad in which this warp begins.
    std::uint32_t quad = 0;
#pragma unroll
    for (std::uint32_t q = 0; q < T::quads; q += 32) {
      const bool before = q + lane < T::quads && load_shared(begins + 4 * (q + lane)) <= from;
      quad += static_cast<std::uint32_t>(__popc(__ballot_sync(~0u, before)));
    }
    --quad;
    const bool inside = load_shared(begins + 4 * quad) < from;  // another warp has begun it
    std::uint32_t end = load_shared(begins + 4 * quad + 4);     // of the quad
    bool head = inside;
    float4 sum = make_float4(0, 0, 0, 0);
    const auto put = [&] {
      const std::uint32_t row =
          load_shared_u8(orders + 4 * quad + stream) + quad / row_list_quads * row_list_rows;
      const std::uint32_t at = sums + sum_place<T>(lane % 8 * 4, row);
      if (wide && block > block0) {
        sum.x += load_shared_sum(at), sum.y += load_shared_sum(at + 4 * T::rows);
        sum.z += load_shared_sum(at + 8 * T::rows), sum.w += load_shared_sum(at + 12 * T::rows);
      }
      store_shared_float(at, sum.x), store_shared_float(at + 4 * T::rows, sum.y);
      store_shared_float(at + 8 * T::rows, sum.z), store_shared_float(at + 12 * T::rows, sum.w);
    };
    const auto put_head = [&] { store_shared_floats4(heads + warp * T::head_bytes + 16 * lane, sum); };
    const std::uint32_t list = base + warp * T::ring_bytes + 16 * stream;
    std::uint32_t i = 0;
    const auto multiply_steps = [&]<int count>(std::integral_constant<int, count>) {
      uint4 entry[count];
#pragma unroll
      for (int k = 0; k < count; ++k)
        entry[k] = load_shared16(list + (i + k) % (T::ring_pieces * T::piece_steps) * step_bytes);
#pragma unroll
      for (int k = 0; k < count; ++k) {
        multiply(sum, entry[k].x, load_shared_floats4(x_shared + (entry[k].y ^ unit)));
        multiply(sum, entry[k].z, load_shared_floats4(x_shared + (entry[k].w ^ unit)));
      }
      i += count;
    };
#pragma unroll 1
    while (i < steps) {
      ring.wait_for(i);
      const std::uint32_t stop = min(end - from, steps), left = stop - i;
      if (left >= 4)
        multiply_steps(std::integral_constant<int, 4>{});
      else if (left == 3)
        multiply_steps(std::integral_constant<int, 3>{});
      else if (left == 2)
        multiply_steps(std::integral_constant<int, 2>{});
      else
        multiply_steps(std::integral_constant<int, 1>{});
      if (i == stop && i < steps) {
        if (head)
          put_head();
        else
          put();
        head = false;
        sum = make_float4(0, 0, 0, 0);
        ++quad;
        end = load_shared(begins + 4 * quad + 4);
      }
    }
    if (head && steps > 0) put_head();
    if (wide && block + 1 < block_end) x.load(p, block + 1, 1, x_second);
    wait_copies<0>();
    __syncthreads();
    // The quad that this warp has begun and not put away may go on in the next ones.
    if (!head && steps > 0) {
#pragma unroll 1
      for (std::uint32_t w = warp + 1; w < warps && share(w) < end; ++w)
        if (share(w) < share(w + 1)) add(sum, load_shared_floats4(heads + w * T::head_bytes + 16 * lane));
      put();
    }
  }
  __syncthreads();
  store_sums<T>(p, sums, inbox, counter, quads, heads + T::granules_at);
}

}  // namespace cross::kernels::cuda::row_lists
