// Weights of split_blocks_wide: a warp group clears a buffer and writes the kept weights of a block into it,
// one by one, while others multiply. Tensor cores leave CUDA cores less than half of their rate, so a weight
// must cost few instructions.
#pragma once

#include "kernels/cuda/split_blocks_wide_types.cuh"

namespace cross::kernels::cuda::split_blocks_wide {

/// Quads that a thread fetches before it needs them.
inline constexpr std::uint32_t quads_ahead = 3;

/// Walks over the blocks of a CTA, by twos: a warp group that writes has every second.
struct Cursor {
  std::int32_t panel, token_tile, block;
  std::int32_t left;  ///< units, this one included
  __device__ Cursor(const Params& p, std::int64_t unit, std::int64_t last_unit, int which)
      : left(static_cast<std::int32_t>(last_unit - unit)) {
    const Piece piece(p, unit, last_unit);
    panel = piece.panel, token_tile = piece.token_tile, block = unit_blocks * piece.begin + which;
  }
  __device__ __forceinline__ void next(const Params& p) {
    --left;
    block += unit_blocks;
    if (block < unit_blocks * p.k_units) return;
    block -= unit_blocks * p.k_units;
    if (++token_tile == p.token_tiles) token_tile = 0, ++panel;
  }
};
static_assert(writers == unit_blocks);

struct List {
  std::uint32_t begin = 0, end = 0;
  __device__ __forceinline__ void find(const Params& p, const Cursor& cursor) {
    begin = end = 0;
    if (cursor.left <= 0 || cursor.block >= p.k_blocks) return;
    const std::uint32_t* at =
        p.begin + 2 * (static_cast<std::int64_t>(cursor.panel) * p.k_blocks + cursor.block);
    begin = __ldg(at), end = __ldg(at + 2);
  }
};

struct Fetched {
  uint4 parts[quads_ahead];
  uint2 places[quads_ahead];
  __device__ __forceinline__ void load(const Params& p, const List& list, std::uint32_t from) {
#pragma unroll
    for (std::uint32_t i = 0; i < quads_ahead; ++i) {
      const std::uint32_t quad = from + i * group_threads;
      if (quad < list.end) parts[i] = __ldg(p.parts + quad), places[i] = __ldg(p.places + quad);
    }
  }
  __device__ __forceinline__ void put(std::uint32_t buffer, const List& list, std::uint32_t from) const {
#pragma unroll
    for (std::uint32_t i = 0; i < quads_ahead; ++i) {
      if (from + i * group_threads >= list.end) break;
      put_pair(buffer, parts[i].x, parts[i].y, places[i].x);
      put_pair(buffer, parts[i].z, parts[i].w, places[i].y);
    }
  }

 private:
  static __device__ __forceinline__ void put_one(std::uint32_t to, std::uint32_t part) {
    asm volatile(
        "{\n.reg .b16 h, l;\nmov.b32 {h, l}, %1;\nst.shared.b16 [%0], h;\nst.shared.b16 [%0 + %2], l;\n}" ::
            "r"(to),
        "r"(part), "n"(part_bytes)
        : "memory");
  }
  static __device__ __forceinline__ void put_pair(std::uint32_t buffer, std::uint32_t first,
                                                  std::uint32_t second, std::uint32_t places) {
    put_one(buffer + (places & split_place_mask), first);
    put_one(buffer + (places >> 16 & split_place_mask), second);
  }
};

/// @param which  of the warp groups that write; thread of 128
__device__ __forceinline__ void write_weights(const Params& p, const Shared& shared, std::int64_t unit,
                                              std::int64_t last_unit, int which, int thread) {
  const int lane = thread & 31;
  const auto offset = static_cast<std::uint32_t>(thread);
  Ring ring;
  ring.next(static_cast<std::uint32_t>(which));
  Cursor cursor(p, unit, last_unit, which);
  List list, next;
  Fetched fetched;
  list.find(p, cursor);
  fetched.load(p, list, list.begin + offset);
  cursor.next(p);
  next.find(p, cursor);
#pragma unroll 1
  while (cursor.left >= 0) {
    const std::uint32_t buffer = shared.buffers + ring.stage * buffer_bytes;
    barrier_wait(shared.empty + 8 * ring.stage, ring.parity ^ 1);
#pragma unroll
    for (std::uint32_t i = 0; i < buffer_bytes / 16 / group_threads; ++i)
      store_shared16(buffer + 16 * (offset + i * group_threads), make_uint4(0, 0, 0, 0));
    asm volatile("bar.sync %0, %1;" ::"r"(2 + which), "n"(group_threads) : "memory");
    fetched.put(buffer, list, list.begin + offset);
#pragma unroll 1
    for (std::uint32_t from = list.begin + offset + quads_ahead * group_threads; from < list.end;
         from += quads_ahead * group_threads) {
      fetched.load(p, list, from);
      fetched.put(buffer, list, from);
    }
    fence_async_proxy();
    warp_arrives(shared.full + 8 * ring.stage, lane);
    list = next;
    fetched.load(p, list, list.begin + offset);
    cursor.next(p);
    next.find(p, cursor);
    ring.next(writers);
  }
}

}  // namespace cross::kernels::cuda::split_blocks_wide
