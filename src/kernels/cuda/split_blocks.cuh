// y = activation(W·x + bias) + residual in fp32 on tensor cores that multiply fp16, for format split_blocks:
//
//     x·W ≈ xl·Wh + xh·Wl + xh·Wh,   W = Wh + Wl and x = xh + xl in fp16, scaled per row and per token
//
// Tokens are the rows of A, which every lane loads, scales and splits in registers; weights are B, which lies
// in shared memory: zeros, into which the kept ones are written one by one. One launch, nothing in front of
// it: small matrices are bound by latency (docs/gpu/split_blocks.md).
#pragma once

#include "kernels/cuda/split_blocks_exchange.cuh"
#include "kernels/cuda/split_blocks_sums.cuh"
#include "kernels/cuda/split_blocks_weights.cuh"

namespace cross::kernels::cuda::split_blocks {

template <class T>
static __global__ void __launch_bounds__(T::threads, T::ctas_an_sm) kernel(const __grid_constant__ Params p) {
  extern __shared__ std::byte dynamic[];
  const std::uint32_t base = (shared_address(dynamic) + 1023) / 1024 * 1024;
  // The same for all lanes, and known to be.
  const int warp_group = __shfl_sync(~0u, static_cast<int>(threadIdx.x) / warp_group_threads, 0);
  const int k_group = warp_group % T::k_groups, token_group = warp_group / T::k_groups;
  const int in_group = static_cast<int>(threadIdx.x) % warp_group_threads;
  const int thread = token_group * warp_group_threads + in_group;  // of the K group
  const int lane = in_group % 32, t = lane % 4;
  const auto rank = static_cast<std::int32_t>(blockIdx.x), row_tile = static_cast<std::int32_t>(blockIdx.y),
             first_token = static_cast<std::int32_t>(blockIdx.z) * T::tokens;
  const int tile_token = token_group * group_tokens + in_group / 32 * 16 + lane / 4;
  const std::int32_t token = first_token + tile_token;
  const std::uint32_t buffers = base + static_cast<std::uint32_t>(k_group) * T::group_bytes;
  const std::uint32_t exponents = base + T::exponents_at;
  const std::int32_t end = p.k_blocks * (rank + 1) >> p.split_bits,
                     first = (p.k_blocks * rank >> p.split_bits) + k_group;
  Columns x;
  // Nothing waits for anything here: x of a block that turns out to be empty is loaded in vain.
  if (!p.overlap && first < end) x.load(p, first, token, t);
  List list = list_of<T>(p, row_tile, first, end);
  List next = list_of<T>(p, row_tile, first + T::k_groups, end);  // may be empty
  if (list.block < end && list.begin == list.end) {
    list = first_filled<T>(next, p, row_tile, end);
    next = list_of<T>(p, row_tile, list.block + T::k_groups, end);
  }
  Fetched<T> fetched;
  fetched.load(p, list, thread);
  const uint4 row_exponent = __ldg(reinterpret_cast<const uint4*>(
      p.row_exponents + static_cast<std::int64_t>(row_tile) * T::rows + threadIdx.x % T::quads * 4));
#pragma unroll
  for (int i = 0; i < T::stages - 1; ++i)
    if (first + i * T::k_groups < end)
      clear_buffer<T>(buffers + static_cast<std::uint32_t>(i) * T::buffer_bytes, thread);
  prefetch_rest<T>(p, list, thread);
  expect_sums<T>(p, base, threadIdx.x == 0);
  wait_for_predecessor();
  if (list.block < end && (p.overlap || list.block != first)) x.load(p, list.block, token, t);

  Sums<T> sums;
  sums.clear();
  [[maybe_unused]] Sums<T> total;
  if constexpr (T::flushes) total.clear();
  Scales scales;
  std::uint32_t buffer = buffers, before = buffers;
  std::int32_t block = 0;  // that is multiplied
  [[maybe_unused]] int added = -1;
  std::uint32_t high[4][4], low[4][4];
#pragma unroll
  for (int s = 0; s < 4; ++s)
#pragma unroll
    for (int r = 0; r < 4; ++r) high[s][r] = low[s][r] = 0;

  // The products that were begun are done: their operands may change, their sums are there.
  const auto finish_products = [&] {
    wgmma_wait<0>();
    sums.hold();
#pragma unroll
    for (int s = 0; s < 4; ++s) {
      hold_registers(high[s]);
      hold_registers(low[s]);
    }
    if (__any_sync(~0u, scales.not_finite != 0)) {
      const std::int64_t col0 = static_cast<std::int64_t>(block) * split_k;
      const auto columns =
          static_cast<int>(min(static_cast<long long>(split_k), static_cast<long long>(p.cols - col0)));
#pragma unroll 1
      for (int r = 0; r < T::rows / 4; ++r) {
        const float2 exact =
            multiply_exactly(before, r / 2 * 8 + 2 * t + r % 2, T::part_bytes, p.x + token * p.cols + col0,
                             p.cols, columns, scales.not_finite, scales.exponent[0], scales.exponent[1]);
        // Selected, not indexed: sums stay in their registers.
#pragma unroll
        for (int i = 0; i < T::rows / 4; ++i) {
          sums.v[i / 2][i % 2] += i == r ? exact.x : 0.0f;
          sums.v[i / 2][2 + i % 2] += i == r ? exact.y : 0.0f;
        }
      }
    }
    if constexpr (T::flushes)
      if (++added == blocks_a_sum) {
        total.add(sums);
        sums.clear();
        added = 0;
      }
  };

#pragma unroll 1
  for (int i = 0; list.block < end; ++i) {
    finish_products();
    if (!T::loads_ahead && i > 0) {
      x.load(p, list.block, token, t);
      fetched.load(p, list, thread);
    }
    scales.not_finite = 0;
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      float most = x.largest(h);
      if (__any_sync(~0u, !(most < INFINITY))) {  // rare
        const bool finite = most < INFINITY;
        most = x.drop(h, finite);
        if (!finite) scales.not_finite |= 1u << h;
      }
      // Into [2^14, 2^15), which leaves room to double: a token that grows more is scaled again.
      if (most * power_of_two(scales.exponent[h]) >= 65504.0f) {
        const std::int32_t exponent =
            max(-113, min(126, 14 - (static_cast<std::int32_t>(__float_as_uint(most) >> 23) - 127)));
        const float factor = power_of_two(max(-126, exponent - scales.exponent[h]));
        sums.scale(h, factor);
        if constexpr (T::flushes) total.scale(h, factor);
        scales.exponent[h] = exponent;
      }
      const float scale = power_of_two(scales.exponent[h]);
#pragma unroll
      for (int s = 0; s < 4; ++s) {
        split_pair(x.v[s][h].x, x.v[s][h].y, scale, high[s][h], low[s][h]);
        split_pair(x.v[s][h].z, x.v[s][h].w, scale, high[s][2 + h], low[s][2 + h]);
      }
    }
    const List now = list;
    block = list.block;
    list = first_filled<T>(next, p, row_tile, end);
    next = list_of<T>(p, row_tile, list.block + T::k_groups, end);
    if (T::stages == 2 || i == 0) group_barrier<T>(k_group);  // the buffer is zero everywhere
    put_list<T>(buffer, p, now, fetched, thread);
    fence_async_proxy();
    group_barrier<T>(k_group);
    // Asked for behind the fence, which waits for every load on its way, and before the products, which begin
    // one after the other.
    if (list.block < end) {
      if (T::loads_ahead) x.load(p, list.block, token, t), fetched.load(p, list, thread);
      prefetch_rest<T>(p, list, thread);
    }
    wgmma_fence();
#pragma unroll
    for (int s = 0; s < 4; ++s) {
      sums.multiply(low[s], buffer + 32 * static_cast<std::uint32_t>(s));
      sums.multiply(high[s], buffer + T::part_bytes + 32 * static_cast<std::uint32_t>(s));
      sums.multiply(high[s], buffer + 32 * static_cast<std::uint32_t>(s));
    }
    wgmma_commit();
    before = buffer;
    buffer = next_buffer<T>(buffer, buffers);
    // For the block after the next one, or of two buffers for the next one: every warp group is done with it,
    // and will wait at a barrier once more before it is written.
    if (T::stages == 2 ? list.block < end : next.block < end)
      clear_buffer<T>(T::stages == 2 ? buffer : next_buffer<T>(buffer, buffers), thread);
  }
  finish_products();
  if constexpr (T::flushes) sums.add(total);

  // The K groups of the CTA first, so that as little as can be goes from SM to SM.
  group_barrier<T>(k_group);
  if constexpr (T::k_groups > 1) {
    const std::uint32_t mine =
        base + T::group_bytes + static_cast<std::uint32_t>(16 * in_group);  // of group 1
    if (k_group == 1) {
#pragma unroll
      for (int i = 0; i < T::rows / 8; ++i)
        store_shared_floats(mine + 2048 * static_cast<std::uint32_t>(i), sums.v[i]);
      store_shared8(mine + 2048 * (T::rows / 8),
                    make_float2(__int_as_float(scales.exponent[0]), __int_as_float(scales.exponent[1])));
    }
    __syncthreads();
    if (k_group == 0) {
      const float2 theirs = load_shared_floats(mine + 2048 * (T::rows / 8));
      float own_factor[2], their_factor[2];
#pragma unroll
      for (int h = 0; h < 2; ++h) {
        const std::int32_t other = __float_as_int(h == 0 ? theirs.x : theirs.y);
        const std::int32_t common = min(other, scales.exponent[h]);
        own_factor[h] = power_of_two(max(-126, common - scales.exponent[h]));
        their_factor[h] = power_of_two(max(-126, common - other));
        scales.exponent[h] = common;
      }
#pragma unroll
      for (int i = 0; i < T::rows / 8; ++i) {
        const uint4 bits = load_shared16(mine + 2048 * static_cast<std::uint32_t>(i));
        const float other[4] = {__uint_as_float(bits.x), __uint_as_float(bits.y), __uint_as_float(bits.z),
                                __uint_as_float(bits.w)};
#pragma unroll
        for (int j = 0; j < 4; ++j)
          sums.v[i][j] = fmaf(other[j], their_factor[j / 2], sums.v[i][j] * own_factor[j / 2]);
      }
    }
  }
  // Then to shared memory, from where the cluster adds them up.
  if (k_group == 0) {
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      const std::uint32_t to =
          base + static_cast<std::uint32_t>(4 * ((tile_token + 8 * h) * T::pitch + 2 * t));
#pragma unroll
      for (int i = 0; i < T::rows / 8; ++i)
        store_shared8(to + 32 * static_cast<std::uint32_t>(i),
                      make_float2(sums.v[i][2 * h], sums.v[i][2 * h + 1]));
      if (t == 0)
        store_shared4(exponents + static_cast<std::uint32_t>(4 * (tile_token + 8 * h)),
                      static_cast<std::uint32_t>(scales.exponent[h]));
    }
  }
  __syncthreads();
  const float4 scale = row_scale(row_exponent);
  store_sums<T>(p, base, [&](std::uint32_t of_token, std::uint32_t row) {
    float4 sum = load_shared_floats4(base + 4 * (of_token * T::pitch + row));
    const float unscale = power_of_two(-static_cast<std::int32_t>(load_shared(exponents + 4 * of_token)));
    sum.x *= scale.x * unscale, sum.y *= scale.y * unscale, sum.z *= scale.z * unscale,
        sum.w *= scale.w * unscale;
    return sum;
  });
}

}  // namespace cross::kernels::cuda::split_blocks
