// AVX-512 through SIMDe, so that the kernels' logic is tested on CPUs without it (-DCROSS_EMULATE_AVX512=ON).
// Results are those of the real instructions; speed is not. SIMDe 0.7.4 lacks a few intrinsics; they are
// defined here.
#pragma once

#include <immintrin.h>  // AVX2 and below are native
#define SIMDE_ENABLE_NATIVE_ALIASES
#include <simde/x86/avx512.h>

#include <cstring>

namespace cross::kernels::avx512 {

template <class T>
inline simde__m512i expand_lanes(simde__m512i other, std::uint64_t mask, const T* packed) {
  T out[64 / sizeof(T)];
  std::memcpy(out, &other, 64);
  for (std::size_t i = 0; i < 64 / sizeof(T); ++i)
    if (((mask >> i) & 1u) != 0) out[i] = *packed++;
  simde__m512i result;
  std::memcpy(&result, out, 64);
  return result;
}

inline simde__m512 emulated_expand_ps(simde__m512 other, simde__mmask16 mask, simde__m512 value) {
  std::uint32_t lanes[16];
  std::memcpy(lanes, &value, 64);
  return simde_mm512_castsi512_ps(expand_lanes(simde_mm512_castps_si512(other), mask, lanes));
}

inline simde__m512i emulated_expand_epi16(simde__m512i other, simde__mmask32 mask, simde__m512i value) {
  std::uint16_t lanes[32];
  std::memcpy(lanes, &value, 64);
  return expand_lanes(other, mask, lanes);
}

inline simde__m512i emulated_cvtepu16_epi32(simde__m256i value) {
  std::uint16_t lanes[16];
  std::memcpy(lanes, &value, 32);
  std::uint32_t wide[16];
  for (int i = 0; i < 16; ++i) wide[i] = lanes[i];
  simde__m512i result;
  std::memcpy(&result, wide, 64);
  return result;
}

inline simde__m512i emulated_maskz_loadu_epi32(simde__mmask16 mask, const void* at) {
  std::uint32_t lanes[16] = {};
  for (std::size_t i = 0; i < 16; ++i)
    if (((mask >> i) & 1u) != 0) std::memcpy(&lanes[i], static_cast<const char*>(at) + 4 * i, 4);
  simde__m512i result;
  std::memcpy(&result, lanes, 64);
  return result;
}

inline simde__m512 emulated_maskz_loadu_ps(simde__mmask16 mask, const void* at) {
  return simde_mm512_castsi512_ps(emulated_maskz_loadu_epi32(mask, at));
}

inline simde__m512i emulated_cvtepu8_epi32(__m128i value) {
  std::uint8_t lanes[16];
  std::memcpy(lanes, &value, 16);
  std::uint32_t wide[16];
  for (int i = 0; i < 16; ++i) wide[i] = lanes[i];
  simde__m512i result;
  std::memcpy(&result, wide, 64);
  return result;
}

inline simde__m512i emulated_cvtepu8_epi16(__m256i value) {
  std::uint8_t lanes[32];
  std::memcpy(lanes, &value, 32);
  std::uint16_t wide[32];
  for (int i = 0; i < 32; ++i) wide[i] = lanes[i];
  simde__m512i result;
  std::memcpy(&result, wide, 64);
  return result;
}

inline __m256i emulated_cvtepi32_epi16(simde__m512i value) {
  std::uint32_t lanes[16];
  std::memcpy(lanes, &value, 64);
  std::uint16_t narrow[16];
  for (int i = 0; i < 16; ++i) narrow[i] = static_cast<std::uint16_t>(lanes[i]);
  __m256i result;
  std::memcpy(&result, narrow, 32);
  return result;
}

inline simde__m512i emulated_mask_blend_epi16(simde__mmask32 mask, simde__m512i clear, simde__m512i set) {
  return simde_mm512_mask_mov_epi16(clear, mask, set);
}

}  // namespace cross::kernels::avx512

#define _mm512_cvtepu8_epi16 emulated_cvtepu8_epi16
#define _mm512_cvtepi32_epi16 emulated_cvtepi32_epi16
#define _mm512_mask_blend_epi16 emulated_mask_blend_epi16
#define _mm512_maskz_loadu_epi32 emulated_maskz_loadu_epi32
#define _mm512_maskz_loadu_ps emulated_maskz_loadu_ps
#define _mm512_cvtepu8_epi32 emulated_cvtepu8_epi32
#define _mm512_mask_expand_ps emulated_expand_ps
#define _mm512_mask_expand_epi16 emulated_expand_epi16
#define _mm512_cvtepu16_epi32 emulated_cvtepu16_epi32
