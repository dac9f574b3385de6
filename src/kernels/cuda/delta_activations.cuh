// X of one K slice in shared memory, as the delta kernels gather it.
//
// A column of up to eight tokens is a *row* of 16 bytes: eight 16-bit values, or, for one token, its fp32
// value four times. Sixteen tokens are two such rows, one a plane.
//
//   delta4   128 bytes a column, so that lanes never meet in a bank whatever their columns: eight copies of
//            the row for the eight lanes of an ldmatrix phase; 32 copies of the fp32 value; four copies of
//            each of two planes, which lanes read in opposite order.
//   delta8   planes of rows at their positions: the packer has seen to it that eight lanes stand at eight
//            different banks.
#pragma once

#include "kernels/cuda/ptx.cuh"
#include "plan/formats/gpu/delta.h"

namespace cross::kernels::cuda {

/// Bytes from a position to the next.
constexpr int delta_pitch(int bits) { return bits == 4 ? 128 : 16; }

/// Bytes of X for `extent` columns (a multiple of 8) when the kernel computes `pad` tokens.
constexpr std::size_t delta_x_bytes(int bits, int pad, int extent) {
  return static_cast<std::size_t>(extent) * (bits == 4 ? 128 : pad == 16 ? 32 : 16);
}

/// Where a gathering lane reads inside the row of its position, plane 0 or the plane that it reads first.
template <int bits, int pad>
__device__ __forceinline__ std::uint32_t delta_lane_offset(int lane) {
  if constexpr (bits == 8) return pad == 1 ? static_cast<std::uint32_t>(lane >> 3) * 4 : 0;
  if constexpr (pad == 1) return static_cast<std::uint32_t>(lane) * 4;
  if constexpr (pad == 8) return static_cast<std::uint32_t>(lane & 7) * 16;
  return static_cast<std::uint32_t>(lane & 7) *
         16;  // lists 0 and 2 start in plane 0, lists 1 and 3 in plane 1
}

/// `count` neighbouring 16-bit values of one token from column `k` on, as pairs; zeros from column `extent`
/// on.
template <int count>
__device__ __forceinline__ void load_columns(std::uint32_t (&pairs)[count / 2], const unsigned short* at,
                                             int k, int extent, bool aligned) {
  if (aligned && k + count <= extent) {
    if constexpr (count == 8) {
      const uint4 v = __ldg(reinterpret_cast<const uint4*>(at + k));
      pairs[0] = v.x, pairs[1] = v.y, pairs[2] = v.z, pairs[3] = v.w;
    } else {
      static_assert(count == 2);
      pairs[0] = __ldg(reinterpret_cast<const unsigned int*>(at + k));
    }
    return;
  }
#pragma unroll
  for (int i = 0; i < count / 2; ++i) {
    const std::uint32_t low = k + 2 * i < extent ? __ldg(at + k + 2 * i) : 0u;
    const std::uint32_t high = k + 2 * i + 1 < extent ? __ldg(at + k + 2 * i + 1) : 0u;
    pairs[i] = low | high << 16;
  }
}

/// Column c of eight tokens' pairs of columns as a row.
template <int columns>
__device__ __forceinline__ uint4 token_row(const std::uint32_t (*v)[columns / 2], int c) {
  const std::uint32_t select = c % 2 == 0 ? 0x5410 : 0x7632;
  const auto pair = [&](int n) { return __byte_perm(v[n][c / 2], v[n + 1][c / 2], select); };
  return make_uint4(pair(0), pair(2), pair(4), pair(6));
}

template <class T>
__device__ __forceinline__ uint4 one_token_row(std::uint32_t pair, int c) {
  const std::uint32_t value = __float_as_uint(widen<T>(pair, c % 2));
  return make_uint4(value, value, value, value);
}

/// Stores what fills the 128 bytes of a delta4 column. Neighbouring threads start at different copies: no
/// bank conflicts.
template <int planes>
__device__ __forceinline__ void store_copies(std::uint32_t to, const uint4 (&row)[planes]) {
  const std::uint32_t turn = threadIdx.x;
  if constexpr (planes == 1) {
#pragma unroll
    for (std::uint32_t i = 0; i < 8; ++i) store_shared16(to + (((turn + i) & 7) << 4), row[0]);
  } else {
    const bool swap = (turn & 4) != 0;
    const uint4 first = swap ? row[1] : row[0], second = swap ? row[0] : row[1];
#pragma unroll
    for (std::uint32_t i = 0; i < 4; ++i) {
      const std::uint32_t copy = (((turn + i) & 3) << 4) + (swap ? 64u : 0u);
      store_shared16(to + copy, first);
      store_shared16(to + (copy ^ 64u), second);
    }
  }
}

/// Copies columns [k_begin, k_begin + extent) of x[tokens, cols]; columns up to the next multiple of eight
/// and tokens past the last are zeros. All threads of the block take part; the caller synchronises.
/// @return whether this thread met Inf or NaN
template <class T, int bits, int pad>
__device__ __forceinline__ bool load_slice(std::uint32_t shared, const T* x, std::int64_t cols,
                                           std::int64_t k_begin, int extent, std::uint32_t plane_bytes,
                                           int tokens) {
  // delta4: few columns a thread, so that all threads store copies; both planes at a time. delta8: wide
  // loads.
  constexpr int columns = bits == 4 ? 2 : 8;
  constexpr int planes = pad == 16 ? 2 : 1, planes_at_once = bits == 4 ? planes : 1;
  constexpr int tokens_at_once = pad == 1 ? 1 : 8 * planes_at_once;
  // Loads of so many rounds are in flight at a time: few matrices need more.
  constexpr int rounds = bits == 4 ? 2 : pad == 1 ? 3 : 1;
  const bool aligned = cols % columns == 0 && (reinterpret_cast<std::uintptr_t>(x) & (2 * columns - 1)) == 0;
  const int filled = (extent + 7) / 8 * 8;
  const int stride = columns * static_cast<int>(blockDim.x);
  bool non_finite = false;
#pragma unroll 1
  for (int plane = 0; plane < planes; plane += planes_at_once)
#pragma unroll 1
    for (int first = columns * static_cast<int>(threadIdx.x); first < filled; first += rounds * stride) {
      std::uint32_t v[rounds][tokens_at_once][columns / 2];
#pragma unroll
      for (int round = 0; round < rounds; ++round)
#pragma unroll
        for (int n = 0; n < tokens_at_once; ++n) {
#pragma unroll
          for (int i = 0; i < columns / 2; ++i) v[round][n][i] = 0;
          const int token = 8 * plane + n, k = first + round * stride;
          if (token < tokens && k < extent)
            load_columns<columns>(v[round][n],
                                  reinterpret_cast<const unsigned short*>(x + token * cols + k_begin), k,
                                  extent, aligned);
        }
#pragma unroll
      for (int round = 0; round < rounds; ++round) {
        const int k = first + round * stride;
        if (k >= filled) break;
#pragma unroll
        for (int n = 0; n < tokens_at_once; ++n)
#pragma unroll
          for (int i = 0; i < columns / 2; ++i) non_finite |= any_non_finite<T>(v[round][n][i]);
#pragma unroll
        for (int c = 0; c < columns; ++c) {
          uint4 row[planes_at_once];
#pragma unroll
          for (int p = 0; p < planes_at_once; ++p) {
            if constexpr (pad == 1)
              row[p] = one_token_row<T>(v[round][0][c / 2], c);
            else
              row[p] = token_row<columns>(v[round] + 8 * p, c);
          }
          if constexpr (bits == 4)
            store_copies(shared + static_cast<std::uint32_t>(k + c) * 128, row);
          else
            store_shared16(shared + static_cast<std::uint32_t>(plane) * plane_bytes +
                               static_cast<std::uint32_t>(formats::gpu::gather_position(k + c)) * 16,
                           row[0]);
        }
      }
    }
  return non_finite;
}

}  // namespace cross::kernels::cuda
