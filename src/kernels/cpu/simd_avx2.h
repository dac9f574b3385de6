// AVX2 + FMA + F16C vectors behind the few operations that the kernels need. Only included where the compiler
// targets AVX2; every kernel template takes the class as a parameter, so each ISA gets symbols of its own.
#pragma once

#include <immintrin.h>

#include <array>
#include <cstdint>

namespace cross::kernels::avx2 {

/// For every 8-bit mask, where each set position finds its value among the packed ones; unset positions
/// select zero.
struct ExpandTable {
  alignas(64) std::int8_t lane[256][8];  ///< index of a 4-byte lane, −128 where nothing is kept
  alignas(
      64) std::int8_t bf16[256][32];  ///< bytes of vpshufb: a bf16 value in the upper half of each fp32 lane
};

constexpr ExpandTable make_expand_table() {
  ExpandTable table{};
  for (int mask = 0; mask < 256; ++mask) {
    int next = 0;
    for (int i = 0; i < 8; ++i) {
      const bool kept = ((mask >> i) & 1) != 0;
      table.lane[mask][i] = static_cast<std::int8_t>(kept ? next : -128);
      for (int byte = 0; byte < 4; ++byte)
        table.bf16[mask][4 * i + byte] =
            static_cast<std::int8_t>(kept && byte >= 2 ? 2 * next + byte - 2 : -128);
      next += kept ? 1 : 0;
    }
  }
  return table;
}

inline constexpr ExpandTable expand_table = make_expand_table();

struct Simd {
  static constexpr int lanes = 8;
  static constexpr int max_vectors = 8;  ///< a token tile of 64
  static constexpr int interleaved_step =
      2;  ///< vectors at once with four rows: 8 accumulators + 2 X + 4 W of 16
  static constexpr int dot_rows = 1;
  static constexpr int dot_rows_many_tokens = 1;
  using F = __m256;

  static F zero() { return _mm256_setzero_ps(); }
  static F load(const float* p) { return _mm256_load_ps(p); }
  static F load_unaligned(const float* p) { return _mm256_loadu_ps(p); }
  static void store(float* p, F v) { _mm256_store_ps(p, v); }
  static F fma(F a, F b, F c) { return _mm256_fmadd_ps(a, b, c); }
  static F add(F a, F b) { return _mm256_add_ps(a, b); }

  static F broadcast(const float* p) { return _mm256_broadcast_ss(p); }
  static F broadcast_bf16(const std::uint16_t* p) {
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_set1_epi16(static_cast<short>(*p)), 16));
  }

  static F load_bf16(const std::uint16_t* p) {
    const __m128i packed = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(packed), 16));
  }

  /// Values of the next popcount(mask) positions spread over the lanes whose bit is set; zero elsewhere.
  static F expand(const float* values, unsigned mask) {
    const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(expand_table.lane[mask]));
    const __m256i lane = _mm256_cvtepi8_epi32(bytes);
    const __m256 spread = _mm256_permutevar8x32_ps(_mm256_loadu_ps(values), lane);
    return _mm256_blendv_ps(spread, _mm256_setzero_ps(), _mm256_castsi256_ps(lane));
  }
  /// One shuffle spreads and widens: both halves of the register hold the same eight packed values.
  static F expand_bf16(const std::uint16_t* values, unsigned mask) {
    const __m256i packed =
        _mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(values)));
    const __m256i select = _mm256_load_si256(reinterpret_cast<const __m256i*>(expand_table.bf16[mask]));
    return _mm256_castsi256_ps(_mm256_shuffle_epi8(packed, select));
  }

  /// The first `count` of eight values, zeros after them; all eight may be read.
  static F load_first(const float* p, int count) {
    return _mm256_and_ps(_mm256_loadu_ps(p), _mm256_castsi256_ps(first_lanes(count)));
  }
  static F load_first_bf16(const std::uint16_t* p, int count) {
    return _mm256_and_ps(load_bf16(p), _mm256_castsi256_ps(first_lanes(count)));
  }
  static __m256i first_lanes(int count) {
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(count), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
  }

  /// 128 floats, looked up eight at a time by 8-bit index. AVX2 has no permutation that wide: it gathers.
  /// Lanes past a list's end see any byte as their index: it is clamped to the slots that are there.
  class Lookup {
   public:
    Lookup(const float* x, int slots) : x_(x), last_(_mm256_set1_epi32(slots - 1)) {}
    F get(const std::uint8_t* index) const {
      const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(index));
      return _mm256_i32gather_ps(x_, _mm256_min_epi32(_mm256_cvtepu8_epi32(bytes), last_), 4);
    }

   private:
    const float* x_;
    __m256i last_;
  };

  static float reduce(F v) {
    const __m128 half = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    const __m128 quarter = _mm_add_ps(half, _mm_movehl_ps(half, half));
    return _mm_cvtss_f32(_mm_add_ss(quarter, _mm_shuffle_ps(quarter, quarter, 1)));
  }
  static int popcount(unsigned mask) { return __builtin_popcount(mask); }
};

}  // namespace cross::kernels::avx2
