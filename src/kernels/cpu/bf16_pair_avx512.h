// Native bf16: two products per lane and instruction (vdpbf16ps). Rounding is to nearest even, subnormal
// inputs and outputs count as zero, as the instruction defines.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/cpu/simd_avx512.h"

namespace cross::kernels::avx512 {

struct PairArithmetic {
  using S = Simd;
  using Value = std::uint32_t;
  using Column = std::uint16_t;
  using Scratch = std::uint32_t;
  static constexpr int columns_per_element = 2;
  static constexpr int expand_lanes = 32;
  static constexpr int dot_lanes = 32;
  static constexpr std::size_t x_bytes = 2;

  static __m512bh pairs(__m512i bits) { return (__m512bh)bits; }

  static __m512 broadcast(const Value* value) {
    return _mm512_castsi512_ps(_mm512_set1_epi32(static_cast<int>(*value)));
  }
  static __m512 broadcast_scratch(const Scratch* value) { return broadcast(value); }
  static __m512 multiply_add(__m512 w, __m512 x, __m512 sum) {
    return _mm512_dpbf16_ps(sum, pairs(_mm512_castps_si512(w)), pairs(_mm512_castps_si512(x)));
  }

  static __m512 load_values(const Value* values) { return _mm512_castsi512_ps(_mm512_loadu_si512(values)); }
  static __m512 load_values(const Value* values, int count) {
    return _mm512_castsi512_ps(_mm512_maskz_loadu_epi32(Simd::first_lanes(count), values));
  }

  using Spread = __m512i;
  static Spread spread(const Column* values, std::uint32_t mask) {
    return _mm512_mask_expand_epi16(cleared<__m512i>(), mask, in_register(_mm512_loadu_si512(values)));
  }
  static __m512 expand(const Column* values, std::uint32_t mask) {
    return _mm512_castsi512_ps(spread(values, mask));
  }
  static Spread load_columns(const std::byte* x, std::int64_t column) {
    return _mm512_loadu_si512(reinterpret_cast<const std::uint16_t*>(x) + column);
  }
  static void store_columns(std::byte* to, std::int64_t column, Spread value) {
    _mm512_store_si512(reinterpret_cast<std::uint16_t*>(to) + column, value);
  }
  static __m512 dot(Spread w, Spread x, __m512 sum) { return _mm512_dpbf16_ps(sum, pairs(w), pairs(x)); }
};

}  // namespace cross::kernels::avx512
