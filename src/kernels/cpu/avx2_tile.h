// 8×8 tiles of fp32 in AVX2 registers: what packing and epilogue share. Nothing here may be called before the
// CPU was checked.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "kernels/cpu/unroll.h"

namespace cross::kernels {
namespace {

/// Rows become columns: row[i][j] → row[j][i].
inline void transpose(__m256 (&row)[8]) {
  __m256 a[8];
  CROSS_UNROLL
  for (int i = 0; i < 8; i += 2) {
    a[i] = _mm256_unpacklo_ps(row[i], row[i + 1]);
    a[i + 1] = _mm256_unpackhi_ps(row[i], row[i + 1]);
  }
  __m256 b[8];
  CROSS_UNROLL
  for (int i = 0; i < 8; i += 4) {
    b[i] = _mm256_shuffle_ps(a[i], a[i + 2], 0x44);
    b[i + 1] = _mm256_shuffle_ps(a[i], a[i + 2], 0xee);
    b[i + 2] = _mm256_shuffle_ps(a[i + 1], a[i + 3], 0x44);
    b[i + 3] = _mm256_shuffle_ps(a[i + 1], a[i + 3], 0xee);
  }
  CROSS_UNROLL
  for (int i = 0; i < 4; ++i) {
    row[i] = _mm256_permute2f128_ps(b[i], b[i + 4], 0x20);
    row[i + 4] = _mm256_permute2f128_ps(b[i], b[i + 4], 0x31);
  }
}

/// All-ones lanes 0 … count−1.
inline __m256i lane_mask(int count) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(count), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

/// Eight 16-bit values of which only `count` may be read.
inline __m128i load_u16(const std::byte* at, std::int64_t count) {
  if (count >= 8) return _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
  alignas(16) std::uint16_t part[8] = {};
  if (count > 0) std::memcpy(part, at, static_cast<std::size_t>(count) * 2);
  return _mm_load_si128(reinterpret_cast<const __m128i*>(part));
}

}  // namespace
}  // namespace cross::kernels
