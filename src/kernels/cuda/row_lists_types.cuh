// What the parts of the row_lists kernel share: parameters, tiles, instructions.
#pragma once

#include "kernels/cuda/cluster.cuh"
#include "kernels/cuda/four_rows.cuh"
#include "plan/formats/gpu/row_lists.h"

namespace cross::kernels::cuda::row_lists {

using namespace formats::gpu;

inline constexpr std::int64_t row_lists_max_tokens = 1024;
inline constexpr std::uint32_t tile_tokens = 32, warps = 16, threads = 32 * warps;
inline constexpr std::uint32_t step_bytes = row_list_streams * row_list_step * sizeof(RowListEntry);

struct Params {
  const std::uint32_t* granules = nullptr;
  const std::byte* order = nullptr;
  const std::uint32_t* begin = nullptr;
  const std::byte* entries = nullptr;
  const float* x = nullptr;  ///< [tokens, cols]
  EpilogueArgs<float> epilogue;
  std::int64_t cols = 0;
  std::int32_t tokens = 0, panels = 0, blocks = 0, block_cols = 0;
  std::int32_t split_bits = 0;  ///< 2^split_bits CTAs of a cluster share the blocks of K
  bool aligned = false;         ///< rows of x are 16-byte aligned
};

/// What a CTA does: `panel_count` panels by 32 tokens. Shared memory, in this order: rings of lists, one a
/// warp; sums [tokens][rows], 16-byte units exchanged by token / 4; what others of the cluster send; sums of
/// quads that another warp began; beginnings of lists and orders of rows, of two blocks in turn; granules; a
/// counter; x.
template <int panel_count>
struct Tile {
  static constexpr std::uint32_t panels = panel_count, rows = row_list_rows * panels,
                                 quads = row_list_quads * panels;
  /// Pieces of eight steps a ring holds: two of them are being read, the others on their way.
  static constexpr std::uint32_t ring_pieces = panels == 8 ? 6 : 8, piece_steps = 8,
                                 piece_bytes = piece_steps * step_bytes;
  static constexpr std::uint32_t ring_bytes = ring_pieces * piece_bytes, sum_bytes = 4 * rows * tile_tokens,
                                 head_bytes = 16 * 32;
  static constexpr std::uint32_t begin_bytes = (4 * (quads + 1) + 15) / 16 * 16;
  static constexpr std::uint32_t sums_at = warps * ring_bytes, inbox_at = sums_at + sum_bytes;
  /// Behind the inbox, whose size depends on the split.
  static constexpr std::uint32_t begin_at = warps * head_bytes, order_at = begin_at + 2 * begin_bytes,
                                 granules_at = order_at + 2 * rows,
                                 counter_at = granules_at + 4 * row_list_granules * panels,
                                 x_at = (counter_at + 8 + 127) / 128 * 128;
  static constexpr std::uint32_t inbox_bytes(int split_bits) { return sum_bytes - (sum_bytes >> split_bits); }
  static constexpr std::size_t shared_bytes(int split_bits, int block_cols) {
    return inbox_at + inbox_bytes(split_bits) + x_at +
           static_cast<std::size_t>(row_list_column) * static_cast<std::size_t>(block_cols + 1);
  }
};

/// Loads that stay in the order in which they are written, which is the order in which they are needed.
__device__ __forceinline__ std::uint32_t load_global4(const void* from) {
  std::uint32_t v;
  asm volatile("ld.global.nc.b32 %0, [%1];" : "=r"(v) : "l"(from) : "memory");
  return v;
}
__device__ __forceinline__ float4 load_global16_if(const float* from, bool there) {
  float4 v;
  asm volatile(
      "{\n.reg .pred there;\nsetp.ne.u32 there, %5, 0;\n"
      "@there ld.global.nc.v4.f32 {%0, %1, %2, %3}, [%4];\n}"
      : "=f"(v.x), "=f"(v.y), "=f"(v.z), "=f"(v.w)
      : "l"(from), "r"(static_cast<std::uint32_t>(there))
      : "memory");
  return v;
}
__device__ __forceinline__ std::uint32_t load_shared_u8(std::uint32_t address) {
  std::uint32_t v;
  asm volatile("ld.shared.u8 %0, [%1];" : "=r"(v) : "r"(address) : "memory");
  return v;
}
__device__ __forceinline__ void store_shared_floats4(std::uint32_t address, const float4& v) {
  asm volatile("st.shared.v4.f32 [%0], {%1, %2, %3, %4};" ::"r"(address), "f"(v.x), "f"(v.y), "f"(v.z),
               "f"(v.w)
               : "memory");
}
__device__ __forceinline__ float load_shared_sum(std::uint32_t address) {
  float v;
  asm volatile("ld.shared.f32 %0, [%1];" : "=f"(v) : "r"(address) : "memory");
  return v;
}
__device__ __forceinline__ void store_shared_float(std::uint32_t address, float v) {
  asm volatile("st.shared.f32 [%0], %1;" ::"r"(address), "f"(v) : "memory");
}
/// In one instruction: the compiler would take four, of a sector's quarter each.
__device__ __forceinline__ void store_global16(float* to, const float4& v) {
  asm volatile("st.global.v4.f32 [%0], {%1, %2, %3, %4};" ::"l"(to), "f"(v.x), "f"(v.y), "f"(v.z), "f"(v.w)
               : "memory");
}
/// A value that the compiler keeps in its register instead of computing it again.
__device__ __forceinline__ void keep(std::uint32_t& value) { asm volatile("mov.b32 %0, %0;" : "+r"(value)); }
template <class T>
__device__ __forceinline__ void keep(const T*& value) {
  asm volatile("mov.b64 %0, %0;" : "+l"(value));
}
__device__ __forceinline__ void add(float4& sum, const float4& v) {
  sum.x += v.x, sum.y += v.y, sum.z += v.z, sum.w += v.w;
}
__device__ __forceinline__ void multiply(float4& sum, std::uint32_t weight, const float4& x) {
  const float w = __uint_as_float(weight);
  sum.x = fmaf(w, x.x, sum.x), sum.y = fmaf(w, x.y, sum.y);
  sum.z = fmaf(w, x.z, sum.z), sum.w = fmaf(w, x.w, sum.w);
}

}  // namespace cross::kernels::cuda::row_lists
