// Weights of split_blocks: from lists to B operands in shared memory.
#pragma once

#include "kernels/cuda/split_blocks_types.cuh"

namespace cross::kernels::cuda::split_blocks {

/// A list of quads; the kernel walks over lists that are not empty.
struct List {
  std::int32_t block = 0;  ///< of K; k_blocks: there is none
  std::uint32_t begin = 0, end = 0;
};

template <class T>
struct Fetched {
  uint4 parts[T::quads_ahead];
  uint2 places[T::quads_ahead];

  __device__ __forceinline__ void load(const Params& p, const List& list, int thread) {
#pragma unroll
    for (int i = 0; i < T::quads_ahead; ++i) {
      const std::uint32_t quad = list.begin + static_cast<std::uint32_t>(thread + i * T::group_threads);
      if (quad >= list.end) break;
      parts[i] = __ldg(p.parts + quad);
      places[i] = __ldg(p.places + quad);
    }
  }
};

/// What `load` leaves for later comes nearer.
template <class T>
__device__ __forceinline__ void prefetch_rest(const Params& p, const List& list, int thread) {
  constexpr std::uint32_t quads_a_line = 8;
  for (std::uint32_t quad =
           list.begin + T::quads_ahead * T::group_threads + quads_a_line * static_cast<std::uint32_t>(thread);
       quad < list.end; quad += quads_a_line * T::group_threads) {
    asm volatile("prefetch.global.L2 [%0];" ::"l"(p.parts + quad));
    asm volatile("prefetch.global.L2 [%0];" ::"l"(p.places + quad));
  }
}

template <class T>
__device__ __forceinline__ void put_quad_of(std::uint32_t buffer, const uint4& parts, const uint2& places) {
  put_quad<T::rows == split_rows ? split_place_mask : split_half_bytes - 2, T::part_bytes>(buffer, parts,
                                                                                           places);
}

template <class T>
__device__ __forceinline__ void put_list(std::uint32_t buffer, const Params& p, const List& list,
                                         const Fetched<T>& fetched, int thread) {
#pragma unroll
  for (int i = 0; i < T::quads_ahead; ++i)
    if (list.begin + static_cast<std::uint32_t>(thread + i * T::group_threads) < list.end)
      put_quad_of<T>(buffer, fetched.parts[i], fetched.places[i]);
  List rest = list;
  rest.begin += T::quads_ahead * T::group_threads;
#pragma unroll 1
  for (; rest.begin < rest.end; rest.begin += T::quads_ahead * T::group_threads) {
    Fetched<T> more;
    more.load(p, rest, thread);
#pragma unroll
    for (int i = 0; i < T::quads_ahead; ++i)
      if (rest.begin + static_cast<std::uint32_t>(thread + i * T::group_threads) < rest.end)
        put_quad_of<T>(buffer, more.parts[i], more.places[i]);
  }
}

template <class T>
__device__ __forceinline__ void group_barrier(int k_group) {
  if constexpr (T::k_groups == 1)
    __syncthreads();
  else
    asm volatile("bar.sync %0, %1;" ::"r"(k_group + 1), "n"(T::group_threads) : "memory");
}

template <class T>
__device__ __forceinline__ void clear_buffer(std::uint32_t buffer, int thread) {
#pragma unroll
  for (int i = 0; i < static_cast<int>(T::buffer_bytes) / 16 / T::group_threads; ++i)
    store_shared16(buffer + static_cast<std::uint32_t>(16 * (thread + i * T::group_threads)),
                   make_uint4(0, 0, 0, 0));
}

/// The buffer behind this one, in the ring of a K group.
template <class T>
__device__ __forceinline__ std::uint32_t next_buffer(std::uint32_t buffer, std::uint32_t buffers) {
  return buffer + T::buffer_bytes == buffers + T::group_bytes ? buffers : buffer + T::buffer_bytes;
}

/// The list of a block for the CTA's rows.
template <class T>
__device__ __forceinline__ List list_of(const Params& p, std::int32_t row_tile, std::int32_t block,
                                        std::int32_t end) {
  constexpr int halves = T::rows / split_half_rows;
  List list;
  list.block = block;
  if (block >= end) return list;
  const std::int32_t panel = row_tile * halves / 2, half = row_tile * halves % 2;
  if (p.aboard) {
    const std::int32_t at = 2 * (panel * p.k_blocks + block) + half;
    list.begin = p.begin_aboard[at], list.end = p.begin_aboard[at + halves];
  } else {
    const std::int64_t at = 2 * (static_cast<std::int64_t>(panel) * p.k_blocks + block) + half;
    list.begin = __ldg(p.begin + at), list.end = __ldg(p.begin + at + halves);
  }
  return list;
}
/// The list itself, or the next one of the K group that is not empty.
template <class T>
__device__ __forceinline__ List first_filled(List list, const Params& p, std::int32_t row_tile,
                                             std::int32_t end) {
  while (list.block < end && list.begin == list.end)
    list = list_of<T>(p, row_tile, list.block + T::k_groups, end);
  return list;
}

}  // namespace cross::kernels::cuda::split_blocks
