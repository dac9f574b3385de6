// Dot kernels: few tokens, lanes along K. acc[n, r] += Σ_k W[r, k] · x[n, k].
//
// bitmap and n_m: the kept values of the next lanes are spread to their columns (a table-driven permutation
// on AVX2, vexpand on AVX-512), so x needs no gather. One stream of masks and values from memory; the
// expansion is shared by all tokens. Bound by the expansion (about 8 instructions per 8 columns on AVX2), by
// memory below that.
#pragma once

#include "kernels/cpu/tile_kernels.h"
#include "kernels/kernel.h"

namespace cross::kernels {

template <class S, class A, int Tokens>
static void bitmap_dot_tokens(const DotArgs& a, int first_token) {
  using Column = typename A::Column;
  constexpr int chains = Tokens == 1 ? 4 : Tokens <= 4 ? 2 : 1;
  constexpr int steps = 64 / A::dot_lanes;
  constexpr std::uint64_t lane_mask = (std::uint64_t{1} << A::dot_lanes) - 1;
  const std::int64_t words = (static_cast<std::int64_t>(a.columns) + 63) / 64;
  const std::size_t x_bytes = A::x_bytes;

  const std::byte* x[Tokens];
  CROSS_UNROLL
  for (int n = 0; n < Tokens; ++n)
    x[n] = a.x + static_cast<std::size_t>((first_token + n) * a.x_stride) * x_bytes;

  const std::byte* at = a.segment;
  for (int row = 0; row < a.rows; ++row) {
    const std::byte* mask = at;
    const auto* value = reinterpret_cast<const Column*>(at + words * 8);
    typename S::F sum[Tokens][chains];
    CROSS_UNROLL
    for (int n = 0; n < Tokens; ++n) CROSS_UNROLL
    for (int c = 0; c < chains; ++c) sum[n][c] = S::zero();
    for (std::int64_t word = 0; word < words; ++word) {
      std::uint64_t bits = load_as<std::uint64_t>(mask + word * 8);
      const std::int64_t column = word * 64;
      CROSS_UNROLL
      for (int step = 0; step < steps; ++step) {
        const auto part = static_cast<std::uint32_t>(bits & lane_mask);
        const typename A::Spread w = A::spread(value, part);
        value += __builtin_popcount(part);
        bits >>= A::dot_lanes;
        CROSS_UNROLL
        for (int n = 0; n < Tokens; ++n) {
          typename S::F& to = sum[n][step % chains];
          to = A::dot(w, x[n], column + step * A::dot_lanes, to);
        }
      }
      __builtin_prefetch(reinterpret_cast<const std::byte*>(value) + prefetch_bytes);
    }
    CROSS_UNROLL
    for (int n = 0; n < Tokens; ++n) {
      typename S::F total = sum[n][0];
      CROSS_UNROLL
      for (int c = 1; c < chains; ++c) total = S::add(total, sum[n][c]);
      a.acc[(first_token + n) * a.acc_stride + row] += S::reduce(total);
    }
    const auto kept = static_cast<std::size_t>(value - reinterpret_cast<const Column*>(at + words * 8));
    at += static_cast<std::size_t>(words) * 8 + padded4(kept * sizeof(Column));
  }
}

/// index8: the activations of one K block stand ready for look-ups (in eight registers on AVX-512, where
/// two-register permutations replace a gather), and the kept elements of a row are multiplied `lanes` at a
/// time. Per list one accumulator is loaded and stored; lanes are added up once, at the end. Tokens one by
/// one: the look-up is the work.
template <class S, class A>
static void index8_dot(const DotArgs& a) {
  using Value = typename A::Value;
  constexpr int lanes = S::lanes;
  constexpr int most_rows = 256;  // index8 names rows in 8 bits
  constexpr std::int64_t block_columns = k_block_elements * A::columns_per_element;
  alignas(64) float partial[most_rows * lanes];

  for (int token = 0; token < a.tokens; ++token) {
    const std::byte* x = a.x + static_cast<std::size_t>(token * a.x_stride) * A::x_bytes;
    std::memset(partial, 0, static_cast<std::size_t>(a.rows) * lanes * sizeof(float));
    const std::byte* chunk = a.segment;
    for (std::int64_t column = 0; column < a.columns; column += block_columns) {
      const auto entries = load_as<std::uint32_t>(chunk);
      const auto* row_of = reinterpret_cast<const std::uint8_t*>(chunk + 4);
      const std::uint8_t* count = row_of + padded4(static_cast<std::size_t>(a.rows));
      const std::uint8_t* offset = count + padded4(static_cast<std::size_t>(a.rows));
      const auto* value = reinterpret_cast<const Value*>(offset + padded4(entries));
      chunk = reinterpret_cast<const std::byte*>(value) + padded4(entries * sizeof(Value));
      // x is padded to 64 columns only: the look-up of a ragged last block must not read past that.
      const std::int64_t left = (a.columns - column + 63) / 64 * 64;
      const int slots =
          static_cast<int>(left < block_columns ? left : block_columns) / A::columns_per_element;
      const typename S::Lookup lookup(
          reinterpret_cast<const float*>(x + static_cast<std::size_t>(column) * A::x_bytes), slots);
      for (int i = 0; i < a.rows && count[i] != 0; ++i) {
        float* to = partial + row_of[i] * lanes;
        typename S::F sum = S::load(to);
        int left_in_list = count[i];
        for (; left_in_list >= lanes; left_in_list -= lanes, offset += lanes, value += lanes)
          sum = A::multiply_add(A::load_values(value), lookup.get(offset), sum);
        if (left_in_list > 0) {
          sum = A::multiply_add(A::load_values(value, left_in_list), lookup.get(offset), sum);
          offset += left_in_list;
          value += left_in_list;
        }
        S::store(to, sum);
        __builtin_prefetch(reinterpret_cast<const std::byte*>(value) + prefetch_bytes);
        __builtin_prefetch(offset + prefetch_bytes);
      }
    }
    for (int row = 0; row < a.rows; ++row)
      a.acc[token * a.acc_stride + row] += S::reduce(S::load(partial + row * lanes));
  }
}

/// Tokens in groups of 8, 4, 2, 1; the weights of a second group come from cache.
template <class S, class A>
static void bitmap_dot(const DotArgs& a) {
  int n = 0;
  for (; n + 8 <= a.tokens; n += 8) bitmap_dot_tokens<S, A, 8>(a, n);
  if (n + 4 <= a.tokens) bitmap_dot_tokens<S, A, 4>(a, n), n += 4;
  if (n + 2 <= a.tokens) bitmap_dot_tokens<S, A, 2>(a, n), n += 2;
  if (n < a.tokens) bitmap_dot_tokens<S, A, 1>(a, n);
}

}  // namespace cross::kernels
