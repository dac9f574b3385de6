// Dot kernels: few tokens, lanes along K. acc[n, r] += Σ_k W[r, k] · x[n, k].
//
// bitmap and n_m: the kept values of the next lanes are spread to their columns (a table-driven permutation
// on AVX2, vexpand on AVX-512), so x needs no gather. One stream of masks and values from memory; the
// expansion is shared by all tokens. One token is bound by the expansion (about 8 instructions per 8 columns
// on AVX2; 3.3 to 4 clocks per 32 bf16 columns on Zen 4, where vpexpandw takes two of them) or by memory,
// more tokens by the multiply-adds. AVX-512 has the registers to take several rows at once: they share each
// load of x, which comes from L2 at eight tokens. One token takes row after row: with memory asked for early
// enough, and into the first cache level, a single stream gets as much as reading alone does (131072 × 2048
// bf16 on two cores of Zen 4: 32 to 34 GB/s at 60 and 70 % sparsity, where four rows at once got 22).
#pragma once

#include "kernels/cpu/tile_kernels.h"
#include "kernels/kernel.h"

namespace cross::kernels {

/// How far ahead of a row that is read alone its bytes are asked for, into the first cache level: asking for
/// the second took 1.7 times as long (Zen 4, one token, 70 % sparsity).
inline constexpr int row_prefetch_bytes = 4096;

/// A row of bitmap or n_m while it is read: masks stand still, values advance.
template <class Column>
struct BitmapRow {
  const std::byte* mask;
  const Column* value;
};

/// Where the values of a row whose masks start at `mask` end: the next row's masks.
template <class Column>
static inline const std::byte* bitmap_row_end(const std::byte* mask, std::int64_t words) {
  std::size_t kept = 0;
  for (std::int64_t w = 0; w < words; ++w)
    kept += static_cast<std::size_t>(__builtin_popcountll(load_as<std::uint64_t>(mask + 8 * w)));
  return mask + static_cast<std::size_t>(words) * 8 + padded4(kept * sizeof(Column));
}

/// `Rows` rows against `Tokens` tokens straight from the registers that the values were spread to. Returns
/// where the next rows start.
template <class S, class A, int Tokens, int Rows>
static const std::byte* bitmap_dot_rows(const DotArgs& a, int first_token, int row, const std::byte* at) {
  using Column = typename A::Column;
  // Enough sums in flight to hide the latency of the multiply-add.
  constexpr int chains = Tokens * Rows >= 8 ? 1 : Tokens * Rows >= 4 ? 2 : 4;
  constexpr int steps = 64 / A::dot_lanes;
  constexpr std::uint64_t lane_mask = (std::uint64_t{1} << A::dot_lanes) - 1;
  const std::int64_t words = (static_cast<std::int64_t>(a.columns) + 63) / 64;

  const std::byte* x[Tokens];
  CROSS_UNROLL
  for (int n = 0; n < Tokens; ++n)
    x[n] = a.x + static_cast<std::size_t>((first_token + n) * a.x_stride) * A::x_bytes;
  BitmapRow<Column> rows[Rows];
  const std::byte* next = at;
  CROSS_UNROLL
  for (int r = 0; r < Rows; ++r) {
    rows[r] = {next, reinterpret_cast<const Column*>(next + words * 8)};
    if (r + 1 < Rows) next = bitmap_row_end<Column>(next, words);
  }
  // One row alone is a stream; of several, the next ones stand about as far ahead as these take.
  const std::size_t ahead = Rows == 1 ? static_cast<std::size_t>(row_prefetch_bytes)
                                      : static_cast<std::size_t>(next - at) * Rows / (Rows - (Rows > 1));

  typename S::F sum[Rows][Tokens][chains];
  CROSS_UNROLL
  for (int r = 0; r < Rows; ++r) CROSS_UNROLL
  for (int n = 0; n < Tokens; ++n) CROSS_UNROLL
  for (int c = 0; c < chains; ++c) sum[r][n][c] = S::zero();
  for (std::int64_t word = 0; word < words; ++word) {
    std::uint64_t bits[Rows];
    CROSS_UNROLL
    for (int r = 0; r < Rows; ++r) {
      bits[r] = load_as<std::uint64_t>(rows[r].mask + word * 8);
      const auto* coming = reinterpret_cast<const std::byte*>(rows[r].value) + ahead;
      __builtin_prefetch(coming, 0, Rows == 1 ? 3 : 2);
      if (Rows > 1 && sizeof(Column) == 4) __builtin_prefetch(coming + 64, 0, 2);
      if (Rows > 1 && word % 8 == 0) __builtin_prefetch(rows[r].mask + word * 8 + ahead);
    }
    CROSS_UNROLL
    for (int step = 0; step < steps; ++step) {
      typename A::Spread w[Rows];
      CROSS_UNROLL
      for (int r = 0; r < Rows; ++r) {
        const auto part = static_cast<std::uint32_t>(bits[r] & lane_mask);
        w[r] = A::spread(rows[r].value, part);
        rows[r].value += __builtin_popcount(part);
        bits[r] >>= A::dot_lanes;
      }
      CROSS_UNROLL
      for (int n = 0; n < Tokens; ++n) {
        const typename A::Spread column = A::load_columns(x[n], word * 64 + step * A::dot_lanes);
        CROSS_UNROLL
        for (int r = 0; r < Rows; ++r) {
          typename S::F& to = sum[r][n][step % chains];
          to = A::dot(w[r], column, to);
        }
      }
    }
  }
  CROSS_UNROLL
  for (int r = 0; r < Rows; ++r) CROSS_UNROLL
  for (int n = 0; n < Tokens; ++n) {
    typename S::F total = sum[r][n][0];
    CROSS_UNROLL
    for (int c = 1; c < chains; ++c) total = S::add(total, sum[r][n][c]);
    a.acc[(first_token + n) * a.acc_stride + row + r] += S::reduce(total);
  }
  const BitmapRow<Column>& last = rows[Rows - 1];
  const auto* values = reinterpret_cast<const Column*>(last.mask + words * 8);
  return last.mask + static_cast<std::size_t>(words) * 8 +
         padded4(static_cast<std::size_t>(last.value - values) * sizeof(Column));
}

template <class S, class A, int Tokens>
static void bitmap_dot_tokens(const DotArgs& a, int first_token) {
  // One row at a time is one stream of memory; more of them share what they load of x.
  constexpr int alone = sizeof(typename A::Column) == 2 ? 2 : 1;
  constexpr int together = Tokens <= alone ? 1 : Tokens <= 4 ? S::dot_rows : S::dot_rows_many_tokens;
  const std::byte* at = a.segment;
  int row = 0;
  for (; row + together <= a.rows; row += together)
    at = bitmap_dot_rows<S, A, Tokens, together>(a, first_token, row, at);
  for (; row < a.rows; ++row) at = bitmap_dot_rows<S, A, Tokens, 1>(a, first_token, row, at);
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

/// Up to eight tokens in groups of 8, 4, 2, 1, the weights of a second group from cache; more spread rows to
/// L1.
template <class S, class A>
static void bitmap_dot(const DotArgs& a) {
  int n = 0;
  for (; n + 8 <= a.tokens; n += 8) bitmap_dot_tokens<S, A, 8>(a, n);
  if (n + 4 <= a.tokens) bitmap_dot_tokens<S, A, 4>(a, n), n += 4;
  if (n + 2 <= a.tokens) bitmap_dot_tokens<S, A, 2>(a, n), n += 2;
  if (n < a.tokens) bitmap_dot_tokens<S, A, 1>(a, n);
}

}  // namespace cross::kernels
