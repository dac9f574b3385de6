// What a warp group does with the sums of an output tile: parts of K that other CTAs of the cluster have,
// then bias, activation and residual, then whole lines of y through shared memory.
#pragma once

#include <type_traits>

#include "kernels/cuda/prefill/source.cuh"
#include "kernels/cuda/prefill/tile.cuh"

namespace cross::kernels::cuda {

__device__ __forceinline__ float2 unpack(std::uint32_t pair, __nv_bfloat16) {
  return make_float2(widen<__nv_bfloat16>(pair, 0), widen<__nv_bfloat16>(pair, 1));
}
__device__ __forceinline__ float2 unpack(std::uint32_t pair, __half) {
  return make_float2(widen<__half>(pair, 0), widen<__half>(pair, 1));
}
template <class T>
__device__ __forceinline__ std::uint32_t pack_pair(float first, float second) {
  if constexpr (__is_same(T, __nv_bfloat16)) {
    const __nv_bfloat162 pair = __floats2bfloat162_rn(first, second);
    return *reinterpret_cast<const std::uint32_t*>(&pair);
  } else {
    const __half2 pair = __floats2half2_rn(first, second);
    return *reinterpret_cast<const std::uint32_t*>(&pair);
  }
}
/// The larger of each half, NaN if one is.
template <class T>
__device__ __forceinline__ std::uint32_t larger_or_nan(std::uint32_t a, std::uint32_t b) {
  using Pair = std::conditional_t<__is_same(T, __nv_bfloat16), __nv_bfloat162, __half2>;
  const Pair larger = __hmax2_nan(*reinterpret_cast<const Pair*>(&a), *reinterpret_cast<const Pair*>(&b));
  return *reinterpret_cast<const std::uint32_t*>(&larger);
}
/// Whether one of two 16-bit values is NaN.
template <class T>
__device__ __forceinline__ bool any_nan(std::uint32_t pair) {
  using Pair = std::conditional_t<__is_same(T, __nv_bfloat16), __nv_bfloat162, __half2>;
  const Pair p = *reinterpret_cast<const Pair*>(&pair);
  return !__hbeq2(p, p);
}

/// Not inlined, and rarely called: the eight outputs of a token from `row` on, as far as there are rows;
/// those that are NaN summed up again from kept weights alone.
template <class T, class Source>
__device__ __noinline__ void store_singly(const PrefillParams<T, Source>& p, std::int64_t row,
                                          std::int64_t token, const T* staged) {
  for (int i = 0; i < 8 && row + i < p.epilogue.rows; ++i) {
    const float value = to_float(staged[i]);
    if (value == value)
      p.epilogue.y[token * p.epilogue.rows + row + i] = staged[i];
    else
      store_output(p.epilogue, row + i, token,
                   Source::template exact<T>(p.source, row + i, p.x + token * p.cols, p.cols));
  }
}

/// Called, not inlined: a lane has up to 128 outputs, and most products have no activation.
__device__ __noinline__ inline float4 activate_called(float4 v, Activation activation) {
  return make_float4(activate(v.x, activation), activate(v.y, activation), activate(v.z, activation),
                     activate(v.w, activation));
}

/// The outputs of a panel: `sums` of 8 · eights tokens from `token0` on. The group has Tile::staging_places
/// places of Tile::staged_tokens rows of 128 bytes, their 16-byte pieces exchanged by token as tensor copies
/// want them. The copy engine stores a place while the next is filled, and the last of a tile while the next
/// tile is multiplied: no warp waits for memory.
/// @tparam plain  no bias, activation or residual: code of its own, short and without gaps, because what is
/// fetched for instructions once a tile is waited for
template <bool plain, class T, class Source, class Tile, int eights>
__device__ __forceinline__ void store_panel_as(const PrefillParams<T, Source>& p,
                                               const float (&sums)[eights][4], std::int64_t panel,
                                               std::int64_t token0, std::byte* staging, int group) {
  constexpr int staged = Tile::staged_tokens, places = Tile::staging_places, parts = eights * 8 / staged;
  static_assert(places <= 2);
  const EpilogueArgs<T>& e = p.epilogue;
  const int thread = static_cast<int>(threadIdx.x & 127), lane = thread & 31, warp = thread >> 5;
  const std::int64_t row0 = panel * prefill_panel_rows;
  if (row0 >= e.rows) return;
  const std::int64_t row = row0 + 16 * warp + (lane >> 2);  // and eight further on
  float bias[2] = {0.0f, 0.0f};
  if (!plain && e.bias != nullptr) {
    if (row < e.rows) bias[0] = e.bias[row];
    if (row + 8 < e.rows) bias[1] = e.bias[row + 8];
  }
  // Lane l names token l mod 8 of one of four matrices: two of rows, two of tokens.
  const auto matrices = [&](int pair) {
    const int token = 16 * pair + 8 * (lane >> 4) + (lane & 7), piece = 2 * warp + (lane >> 3 & 1);
    return static_cast<std::uint32_t>(token * 128 + ((piece ^ (token & 7)) << 4));
  };
  const int piece = thread & 7;
  const auto line = [&](int token) {
    return static_cast<std::uint32_t>(token * 128 + ((piece ^ (token & 7)) << 4));
  };
  const std::int64_t line_row = row0 + 8 * piece;
#pragma unroll
  for (int part = 0; part < parts; ++part) {
    const std::int64_t first = token0 + part * staged;
    if (first >= p.tokens) break;
    std::byte* const at = staging + part % places * (staged * 128);
    const std::uint32_t base = shared_address(at);
    if (thread == 0) {  // until the part before in this place has been read, be it of the tile before
      if (part == 0 || places == 1)
        wait_stores<0>();
      else
        wait_stores<1>();
    }
    sync_group(group + 1);
    if (!plain && e.residual != nullptr) {
      const bool whole = p.aligned_rows && line_row + 8 <= e.rows;
#pragma unroll 1
      for (int token = thread >> 3; token < staged; token += 16) {
        uint4 v = make_uint4(0, 0, 0, 0);
        if (first + token < p.tokens) {
          const T* from = e.residual + (first + token) * e.rows + line_row;
          if (whole)
            v = *reinterpret_cast<const uint4*>(from);
          else
            for (int i = 0; i < 8; ++i)
              if (line_row + i < e.rows)
                (&v.x)[i / 2] |= static_cast<std::uint32_t>(*reinterpret_cast<const std::uint16_t*>(from + i))
                                 << (16 * (i % 2));
        }
        store_shared16(base + line(token), v);
      }
      sync_group(group + 1);
    }
    std::uint32_t largest = 0;  // of this lane's outputs, or NaN
#pragma unroll
    for (int pair = 0; pair < staged / 16; ++pair) {
      const float(&v)[4] = sums[part * (staged / 8) + 2 * pair];
      const float(&w)[4] = sums[part * (staged / 8) + 2 * pair + 1];
      float out[4][2] = {{v[0] + bias[0], v[1] + bias[0]},
                         {v[2] + bias[1], v[3] + bias[1]},
                         {w[0] + bias[0], w[1] + bias[0]},
                         {w[2] + bias[1], w[3] + bias[1]}};
      if (!plain && e.activation != Activation::none)
#pragma unroll
        for (int i = 0; i < 4; i += 2) {
          const float4 active =
              activate_called(make_float4(out[i][0], out[i][1], out[i + 1][0], out[i + 1][1]), e.activation);
          out[i][0] = active.x;
          out[i][1] = active.y;
          out[i + 1][0] = active.z;
          out[i + 1][1] = active.w;
        }
      const std::uint32_t to = base + matrices(pair);
      if (!plain && e.residual != nullptr) {
        std::uint32_t r[4];
        load_matrices_transposed(r, to);
#pragma unroll
        for (int i = 0; i < 4; ++i) {
          const float2 add = unpack(r[i], T{});
          out[i][0] += add.x;
          out[i][1] += add.y;
        }
      }
      std::uint32_t packed[4];
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        packed[i] = pack_pair<T>(out[i][0], out[i][1]);
        largest = larger_or_nan<T>(largest, packed[i]);
      }
      store_matrices_transposed(to, packed);
    }
    fence_async_proxy();
    if (sync_group_any(group + 1, !p.aligned_rows || any_nan<T>(largest))) {
      const int tokens = static_cast<int>(p.tokens - first) - (thread >> 3);
#pragma unroll 1
      for (int i = 0; i < staged / 16; ++i)
        if (16 * i < tokens)
          store_singly<T, Source>(p, line_row, first + (thread >> 3) + 16 * i,
                                  reinterpret_cast<const T*>(at + line((thread >> 3) + 16 * i)));
      sync_group(group + 1);
    } else if (thread == 0) {
      store_box(p.y_map, static_cast<int>(row0), static_cast<int>(first), base);
    }
    if (thread == 0) commit_stores();
  }
}

template <class T, class Source, class Tile, int eights>
__device__ __forceinline__ void store_panel(const PrefillParams<T, Source>& p, const float (&sums)[eights][4],
                                            std::int64_t panel, std::int64_t token0, std::byte* staging,
                                            int group) {
  if (p.epilogue.bias == nullptr && p.epilogue.residual == nullptr &&
      p.epilogue.activation == Activation::none)
    store_panel_as<true, T, Source, Tile>(p, sums, panel, token0, staging, group);
  else
    store_panel_as<false, T, Source, Tile>(p, sums, panel, token0, staging, group);
}

/// Sums of a tile's tokens over the CTAs that share its K. A warp sends what others own of its sums to the
/// same warp there; counters say when all have come and when a place may be filled again.
template <class Tile>
class SumExchange {
 public:
  /// @param buffer  exchange_bytes of this CTA;  barriers: `full` of every warp, then `empty`
  __device__ SumExchange(std::uint32_t buffer, std::uint32_t barriers, int warp, int lane, int split,
                         int sharers, int rank)
      : buffer_(buffer + static_cast<std::uint32_t>(warp * sent * 512 + lane * 16)),
        full_(barriers + static_cast<std::uint32_t>(warp) * 8),
        empty_(full_ + Tile::groups * 4 * 8),
        lane_(lane),
        split_(split),
        sharers_(sharers),
        first_(rank - split * sharers) {}

  static __device__ void prepare(std::uint32_t barriers) {
    for (std::uint32_t warp = 0; warp < Tile::groups * 4; ++warp) {
      barrier_init(barriers + warp * 8, 1);
      barrier_init(barriers + (Tile::groups * 4 + warp) * 8, Tile::splits - 1);
    }
  }

  /// @param last  nothing is exchanged after this: no CTA tells others that they may send again, so each may
  /// end once it has its sums
  /// @param sums  left in another order
  /// @return in `own_sums`: the sums of this CTA's tokens, its own first, then those of the others in order.
  __device__ void add_up(float (&sums)[Tile::eights][4], float (&own_sums)[Tile::own_eights][4],
                         bool last = false) {
#pragma unroll
    for (int owner = swaps ? 1 : 0; owner < Tile::splits; ++owner)
      if (owner == split_)
#pragma unroll
        for (int e = 0; e < own; ++e)
#pragma unroll
          for (int j = 0; j < 4; ++j) {
            own_sums[e][j] = sums[owner * own + e][j];
            if constexpr (swaps) {
              sums[owner * own + e][j] = sums[e][j];
              sums[e][j] = own_sums[e][j];
            }
          }
    if constexpr (swaps)
#pragma unroll
      for (int e = 0; e < own; ++e)
#pragma unroll
        for (int j = 0; j < 4; ++j) own_sums[e][j] = sums[e][j];
#pragma unroll
    for (int round = 0; round < Tile::exchange_rounds; ++round)
      add_round(sums, own_sums, round * sent, last && round == Tile::exchange_rounds - 1);
  }

 private:
  /// `sent` of every CTA's eights, from `first` on.
  __device__ __forceinline__ void add_round(const float (&sums)[Tile::eights][4],
                                            float (&own_sums)[Tile::own_eights][4], int first, bool last) {
    if (lane_ == 0) arrive_expecting(full_, (Tile::splits - 1) * sent * 512);
    wait_in_cluster(empty_, parity_ ^ 1);
#pragma unroll
    for (int at = swaps ? 1 : 0; at < Tile::splits; ++at) {
      if (!swaps && at == split_) continue;
      const int owner = swaps && at == split_ ? 0 : at;
      const int place = split_ < owner ? split_ : split_ - 1;
      const std::uint32_t to = in_cta(buffer_ + static_cast<std::uint32_t>(place) * place_bytes, cta(owner));
      const std::uint32_t counter = in_cta(full_, cta(owner));
#pragma unroll
      for (int e = 0; e < sent; ++e)
        store_counted16(to + static_cast<std::uint32_t>(e * 512), sums[at * own + first + e], counter);
    }
    wait_in_cluster(full_, parity_);
    parity_ ^= 1;
#pragma unroll
    for (int other = 0; other < Tile::splits - 1; ++other)
#pragma unroll
      for (int e = 0; e < sent; ++e) {
        const uint4 v = load_shared16(buffer_ + static_cast<std::uint32_t>(other) * place_bytes +
                                      static_cast<std::uint32_t>(e * 512));
        own_sums[first + e][0] += __uint_as_float(v.x);
        own_sums[first + e][1] += __uint_as_float(v.y);
        own_sums[first + e][2] += __uint_as_float(v.z);
        own_sums[first + e][3] += __uint_as_float(v.w);
      }
    __syncwarp();
    if (!last && lane_ < Tile::splits && lane_ != split_) arrive_in_cluster(in_cta(empty_, cta(lane_)));
  }

  /// Of two CTAs' sums the own ones come first, in place: a copy of half of them would need too many
  /// registers. Not of four: where owners depend on the CTA, nvcc 13.0 computes some places of theirs
  /// wrongly.
  static constexpr bool swaps = Tile::splits == 2;
  static constexpr int own = Tile::own_eights, sent = Tile::exchanged_eights;
  static constexpr std::uint32_t place_bytes = Tile::groups * 4 * sent * 512;
  __device__ int cta(int split) const { return first_ + split * sharers_; }

  std::uint32_t buffer_, full_, empty_;
  int lane_, split_, sharers_, first_;
  std::uint32_t parity_ = 0;
};

}  // namespace cross::kernels::cuda
