// index8.dot of single bf16 columns with native bf16: acc[n, r] += Σ_k W[r, k] · x[n, k].
//
// A chunk's 128 columns of x stand in four registers; two two-register permutations and a blend look up the
// columns of 32 kept values at once, and vdpbf16ps multiplies them: its pairs need not be neighbours, as long
// as both belong to one row. Where lists are shorter than 16 two rows share a look-up. So the work is per
// kept value, and so are the bytes: 3 each, where pairs of columns (bf16_pair) take 4.8 at 90 % sparsity. One
// token, 131072 × 2048, two cores of Zen 4, as a speed-up over reading the dense matrix: 4.0 at 90 %, 6.8 at
// 95 % (index8.dot of pairs: 2.4 and 5.0; bitmap.dot: 2.5 and 3.2).
#pragma once

#include <cstring>

#include "kernels/cpu/bf16_pair_avx512.h"
#include "kernels/cpu/tile_kernels.h"

namespace cross::kernels::avx512 {

/// Memory is asked for so far ahead, line after line: lists are short, and what comes next is what stands
/// next.
inline constexpr int list_prefetch_bytes = 8192;

/// 128 columns of bf16, looked up 32 at a time by 8-bit index. The upper bit of an index counts for nothing.
class ColumnLookup {
 public:
  /// x: fp32 that bf16 holds exactly; `columns` of them, a multiple of 32, the rest counts as zero.
  ColumnLookup(const float* x, std::int64_t columns) {
    for (int i = 0; i < 4; ++i) table_[i] = 32 * i < columns ? narrowed(x + 32 * i) : _mm512_setzero_si512();
  }

  __m512i get(const std::uint8_t* index) const {
    const __m512i at = _mm512_cvtepu8_epi16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(index)));
    const __m512i lower = _mm512_permutex2var_epi16(table_[0], at, table_[1]);
    const __m512i upper = _mm512_permutex2var_epi16(table_[2], at, table_[3]);
    return _mm512_mask_blend_epi16(_mm512_test_epi16_mask(at, _mm512_set1_epi16(64)), lower, upper);
  }

 private:
  static __m256i upper_halves(const float* x) {
    return _mm512_cvtepi32_epi16(_mm512_srli_epi32(_mm512_castps_si512(_mm512_loadu_ps(x)), 16));
  }
  static __m512i narrowed(const float* x) {
    return _mm512_inserti64x4(_mm512_castsi256_si512(upper_halves(x)), upper_halves(x + 16), 1);
  }

  __m512i table_[4];
};

/// Lanes below `count`, which is at most 32.
inline __mmask32 lanes_below(int count) { return static_cast<__mmask32>((std::uint64_t{1} << count) - 1); }

/// What is read front to back of a chunk's lists.
struct ColumnLists {
  const std::uint8_t* offset;
  const std::uint16_t* value;
  const std::byte* requested;  ///< memory up to here was asked for
  const std::byte* limit;      ///< and beyond this it will not be

  void advance(int entries) {
    offset += entries;
    value += entries;
    const auto* end = reinterpret_cast<const std::byte*>(value) + list_prefetch_bytes;
    if (end > limit) end = limit;
    for (; requested < end; requested += 64) __builtin_prefetch(requested, 0, 2);
  }
};

/// One list of any length.
inline void multiply_list(ColumnLists& lists, int count, const ColumnLookup& x, float* to) {
  __m512 sum = _mm512_load_ps(to);
  for (; count >= 32; count -= 32) {
    const __m512i w = _mm512_loadu_si512(lists.value);
    sum = PairArithmetic::dot(w, x.get(lists.offset), sum);
    lists.advance(32);
  }
  if (count > 0) {
    const __m512i w = _mm512_maskz_mov_epi16(lanes_below(count), _mm512_loadu_si512(lists.value));
    sum = PairArithmetic::dot(w, x.get(lists.offset), sum);
    lists.advance(count);
  }
  _mm512_store_ps(to, sum);
}

/// Two neighbouring lists that fit into one register.
inline void multiply_two_lists(ColumnLists& lists, int first, int second, const ColumnLookup& x,
                               float* to_first, float* to_second) {
  const __m512i columns = x.get(lists.offset);
  const __m512i w = _mm512_loadu_si512(lists.value);
  const __mmask32 lower = lanes_below(first), both = lanes_below(first + second);
  const auto multiply = [&](__mmask32 lanes, float* to) {
    _mm512_store_ps(to, PairArithmetic::dot(_mm512_maskz_mov_epi16(lanes, w), columns, _mm512_load_ps(to)));
  };
  multiply(lower, to_first);
  multiply(both & ~lower, to_second);
  lists.advance(first + second);
}

static void index8_columns_dot(const DotArgs& a) {
  constexpr int lanes = Simd::lanes;
  constexpr int most_rows = 256;  // index8 names rows in 8 bits
  alignas(64) float partial[most_rows * lanes];

  for (int token = 0; token < a.tokens; ++token) {
    const auto* x = reinterpret_cast<const float*>(a.x) + token * a.x_stride;
    std::memset(partial, 0, static_cast<std::size_t>(a.rows) * lanes * sizeof(float));
    const std::byte* chunk = a.segment;
    const std::byte* requested = chunk;
    for (std::int64_t column = 0; column < a.columns; column += k_block_elements) {
      const auto entries = load_as<std::uint32_t>(chunk);
      const auto* row_of = reinterpret_cast<const std::uint8_t*>(chunk + 4);
      const std::uint8_t* count = row_of + padded4(static_cast<std::size_t>(a.rows));
      const std::uint8_t* offset = count + padded4(static_cast<std::size_t>(a.rows));
      const auto* value = reinterpret_cast<const std::uint16_t*>(offset + padded4(entries));
      chunk = reinterpret_cast<const std::byte*>(value) + padded4(entries * sizeof(std::uint16_t));
      // x is padded to 64 columns only.
      const ColumnLookup lookup(x + column, (a.columns - column + 63) / 64 * 64);
      // The segment ends with its last chunk; elsewhere what follows the chunk is read next.
      const bool last = column + k_block_elements >= a.columns;
      ColumnLists lists{offset, value, requested, last ? chunk : chunk + list_prefetch_bytes};
      int i = 0;
      // Lists are sorted by length: once two fit into a register, all that follow do.
      for (; i < a.rows && count[i] != 0 && (i + 1 == a.rows || count[i] + count[i + 1] > 32); ++i)
        multiply_list(lists, count[i], lookup, partial + row_of[i] * lanes);
      for (; i + 1 < a.rows && count[i] != 0; i += 2)
        multiply_two_lists(lists, count[i], count[i + 1], lookup, partial + row_of[i] * lanes,
                           partial + row_of[i + 1] * lanes);
      if (i < a.rows && count[i] != 0) multiply_list(lists, count[i], lookup, partial + row_of[i] * lanes);
      requested = lists.requested;
    }
    for (int row = 0; row < a.rows; ++row)
      a.acc[token * a.acc_stride + row] += Simd::reduce(_mm512_load_ps(partial + row * lanes));
  }
}

}  // namespace cross::kernels::avx512
