// AVX-512 (F, BW, DQ, VL) vectors behind the operations that the kernels need; see simd_avx2.h. The native
// bf16 part needs AVX512_BF16 and AVX512_VBMI2 (Zen 4 and later, Sapphire Rapids and later).
#pragma once

#ifdef CROSS_EMULATE_AVX512
#include "kernels/cpu/simde_avx512.h"
#else
#include <immintrin.h>
#endif

#include <cstdint>

namespace cross::kernels::avx512 {

/// Keeps the compiler from folding a load into the instruction that uses it. vexpand with a memory operand is
/// microcode on Zen 4: it took 4 times as long as a load and the register form.
template <class Vector>
inline Vector in_register(Vector v) {
#ifndef CROSS_EMULATE_AVX512
  asm("" : "+v"(v));
#endif
  return v;
}

/// A zero that the compiler takes for any value. vexpand waits for its old destination even when it zeroes
/// what is masked out (5 clocks on Zen 4 and 5), so it gets a fresh destination to merge into.
template <class Vector>
inline Vector cleared() {
  return in_register(Vector{});
}

inline __m512 expand_ps(std::uint32_t mask, __m512 values) {
  return _mm512_mask_expand_ps(cleared<__m512>(), static_cast<__mmask16>(mask), in_register(values));
}

struct Simd {
  static constexpr int lanes = 16;
  static constexpr int max_vectors = 4;       ///< a token tile of 64
  static constexpr int interleaved_step = 4;  ///< 16 accumulators + 4 X + 4 W of 32 registers
  static constexpr int dot_rows = 4;          ///< of bitmap.dot, up to 4 tokens: 16 accumulators + 4 W + X
  static constexpr int dot_rows_many_tokens = 3;  ///< with 8: 24 accumulators + 3 W + X
  using F = __m512;

  static F zero() { return _mm512_setzero_ps(); }
  static F load(const float* p) { return _mm512_load_ps(p); }
  static F load_unaligned(const float* p) { return _mm512_loadu_ps(p); }
  static void store(float* p, F v) { _mm512_store_ps(p, v); }
  static F fma(F a, F b, F c) { return _mm512_fmadd_ps(a, b, c); }
  static F add(F a, F b) { return _mm512_add_ps(a, b); }

  static F broadcast(const float* p) { return _mm512_set1_ps(*p); }
  static F broadcast_bf16(const std::uint16_t* p) {
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_set1_epi16(static_cast<short>(*p)), 16));
  }

  static F load_bf16(const std::uint16_t* p) {
    const __m256i packed = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(packed), 16));
  }

  static F expand(const float* values, unsigned mask) { return expand_ps(mask, _mm512_loadu_ps(values)); }
  static F expand_bf16(const std::uint16_t* values, unsigned mask) {
    return expand_ps(mask, load_bf16(values));
  }

  /// The first `count` of sixteen values, zeros after them.
  static __mmask16 first_lanes(int count) { return static_cast<__mmask16>((1u << count) - 1u); }
  static F load_first(const float* p, int count) { return _mm512_maskz_loadu_ps(first_lanes(count), p); }
  static F load_first_bf16(const std::uint16_t* p, int count) {
    return _mm512_maskz_mov_ps(first_lanes(count), load_bf16(p));
  }

  /// 128 slots of 4 bytes in eight registers, looked up sixteen at a time by 8-bit index: four two-register
  /// permutations (32 slots each) and three blends, about a third of a gather's time. Indices past a list's
  /// end wrap around; slots past the last hold zeros.
  class Lookup {
   public:
    Lookup(const float* x, int slots) {
      for (int i = 0; i < 8; ++i)
        table_[i] = 16 * i < slots ? _mm512_loadu_ps(x + 16 * i) : _mm512_setzero_ps();
    }
    F get(const std::uint8_t* index) const {
      const __m512i at = _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(index)));
      const __mmask16 odd_quarter = _mm512_test_epi32_mask(at, _mm512_set1_epi32(32));
      const __mmask16 upper_half = _mm512_test_epi32_mask(at, _mm512_set1_epi32(64));
      const F q0 = _mm512_permutex2var_ps(table_[0], at, table_[1]);
      const F q1 = _mm512_permutex2var_ps(table_[2], at, table_[3]);
      const F q2 = _mm512_permutex2var_ps(table_[4], at, table_[5]);
      const F q3 = _mm512_permutex2var_ps(table_[6], at, table_[7]);
      return _mm512_mask_blend_ps(upper_half, _mm512_mask_blend_ps(odd_quarter, q0, q1),
                                  _mm512_mask_blend_ps(odd_quarter, q2, q3));
    }

   private:
    F table_[8];
  };

  static float reduce(F v) {
    // Fixed halving order, so that the sum is the same whatever the compiler does.
    const __m256 low = _mm512_castps512_ps256(v);
    const __m256 high = _mm256_castsi256_ps(_mm512_extracti64x4_epi64(_mm512_castps_si512(v), 1));
    const __m256 half = _mm256_add_ps(low, high);
    const __m128 quarter = _mm_add_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1));
    const __m128 eighth = _mm_add_ps(quarter, _mm_movehl_ps(quarter, quarter));
    return _mm_cvtss_f32(_mm_add_ss(eighth, _mm_shuffle_ps(eighth, eighth, 1)));
  }
  static int popcount(unsigned mask) { return __builtin_popcount(mask); }
};

}  // namespace cross::kernels::avx512
