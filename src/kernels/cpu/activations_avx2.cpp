// Packing of activations in 8×8 tiles; used on AVX2 and AVX-512 CPUs alike, since both are bound by loads and
// stores.
#include "kernels/cpu/activations.h"
#include "kernels/cpu/avx2_tile.h"

namespace cross::kernels {
namespace {

/// Eight 4-byte slots starting at `element`, all inside the row.
template <Arithmetic arithmetic>
inline __m256 load_whole_slots(const std::byte* row, std::int64_t element) {
  if constexpr (arithmetic == Arithmetic::bf16_widened) {
    const __m128i bits = _mm_loadu_si128(reinterpret_cast<const __m128i*>(row + element * 2));
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(bits), 16));
  }
  return _mm256_loadu_ps(reinterpret_cast<const float*>(row + element * 4));  // a pair of bf16 is 4 bytes too
}

/// The same near the end of a row: zero past the last column.
template <Arithmetic arithmetic>
inline __m256 load_slots(const std::byte* row, std::int64_t element, std::int64_t columns) {
  if ((element + 8) * columns_per_element(arithmetic) <= columns)
    return load_whole_slots<arithmetic>(row, element);
  if constexpr (arithmetic == Arithmetic::fp32) {
    if (element >= columns) return _mm256_setzero_ps();
    const auto* at = reinterpret_cast<const float*>(row + element * 4);
    return _mm256_maskload_ps(at, lane_mask(static_cast<int>(columns - element)));
  } else if constexpr (arithmetic == Arithmetic::bf16_widened) {
    const __m128i bits = load_u16(row + element * 2, columns - element);
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(bits), 16));
  } else {
    const std::int64_t column = 2 * element;
    const __m128i low = load_u16(row + column * 2, columns - column);
    const __m128i high = load_u16(row + (column + 8) * 2, columns - column - 8);
    return _mm256_castsi256_ps(_mm256_set_m128i(high, low));
  }
}

/// Sticky test for Inf and NaN: exponent bits all set, in 32-bit lanes or in both 16-bit halves.
template <Arithmetic arithmetic>
class FiniteCheck {
 public:
  void see(__m256 slots) {
    const __m256i bits = _mm256_castps_si256(slots);
    if constexpr (arithmetic == Arithmetic::bf16_pair) {
      const __m256i exponent = _mm256_set1_epi16(0x7f80);
      found_ = _mm256_or_si256(found_, _mm256_cmpeq_epi16(_mm256_and_si256(bits, exponent), exponent));
    } else {
      const __m256i exponent = _mm256_set1_epi32(0x7f800000);
      found_ = _mm256_or_si256(found_, _mm256_cmpeq_epi32(_mm256_and_si256(bits, exponent), exponent));
    }
  }
  bool finite() const { return _mm256_testz_si256(found_, found_) != 0; }

 private:
  __m256i found_ = _mm256_setzero_si256();
};

/// Elements [e, e + count) of eight tokens, count ≤ 8.
template <Arithmetic arithmetic>
inline void pack_8x8(const PackTileArgs& a, std::int64_t e, int count, int t,
                     FiniteCheck<arithmetic>& check) {
  __m256 row[8];
  const std::byte* x = a.x + t * a.row_bytes;
  if (t + 8 <= a.tokens && (e + 8) * columns_per_element(arithmetic) <= a.columns) {
    CROSS_UNROLL
    for (int i = 0; i < 8; ++i) row[i] = load_whole_slots<arithmetic>(x + i * a.row_bytes, e);
  } else {
    for (int i = 0; i < 8; ++i)
      row[i] =
          t + i < a.tokens ? load_slots<arithmetic>(x + i * a.row_bytes, e, a.columns) : _mm256_setzero_ps();
  }
  CROSS_UNROLL
  for (int i = 0; i < 8; ++i) check.see(row[i]);
  transpose(row);
  auto* out = reinterpret_cast<float*>(a.out) + e * a.width + t;
  if (count == 8) {
    CROSS_UNROLL
    for (int i = 0; i < 8; ++i) _mm256_store_ps(out + i * a.width, row[i]);
  } else {
    for (int i = 0; i < count; ++i) _mm256_store_ps(out + i * a.width, row[i]);
  }
}

template <Arithmetic arithmetic>
bool pack_tile_as(const PackTileArgs& a) {
  FiniteCheck<arithmetic> check;
  // Sixteen elements at a time: with the usual power-of-two rows all tokens of a tile fall into one cache
  // set, so a line of X must be used up while it is there.
  for (std::int64_t e = a.element_begin; e < a.element_end; e += 16)
    for (int t = 0; t < a.width; t += 8)
      for (std::int64_t part = e; part < e + 16 && part < a.element_end; part += 8)
        pack_8x8<arithmetic>(a, part, static_cast<int>(a.element_end - part < 8 ? a.element_end - part : 8),
                             t, check);
  return check.finite();
}

bool pack_tile(const PackTileArgs& a) {
  switch (a.arithmetic) {
    case Arithmetic::fp32:
      return pack_tile_as<Arithmetic::fp32>(a);
    case Arithmetic::bf16_widened:
      return pack_tile_as<Arithmetic::bf16_widened>(a);
    case Arithmetic::bf16_pair:
      break;
  }
  return pack_tile_as<Arithmetic::bf16_pair>(a);
}

template <Arithmetic arithmetic>
bool pack_dot_as(const PackDotArgs& a) {
  constexpr std::int64_t columns = 8 * columns_per_element(arithmetic);
  constexpr std::int64_t bytes = arithmetic == Arithmetic::bf16_pair ? 2 : 4;
  FiniteCheck<arithmetic> check;
  for (std::int64_t c = 0; c < a.padded; c += columns) {
    const __m256 slots = load_slots<arithmetic>(a.x, c / columns_per_element(arithmetic), a.columns);
    check.see(slots);
    _mm256_storeu_ps(reinterpret_cast<float*>(a.out + c * bytes), slots);
  }
  return check.finite();
}

bool pack_dot(const PackDotArgs& a) {
  switch (a.arithmetic) {
    case Arithmetic::fp32:
      return pack_dot_as<Arithmetic::fp32>(a);
    case Arithmetic::bf16_widened:
      return pack_dot_as<Arithmetic::bf16_widened>(a);
    case Arithmetic::bf16_pair:
      break;
  }
  return pack_dot_as<Arithmetic::bf16_pair>(a);
}

template <Arithmetic arithmetic>
bool all_finite_as(const std::byte* x, std::int64_t count) {
  FiniteCheck<arithmetic> check;
  constexpr int per = columns_per_element(arithmetic);
  for (std::int64_t slot = 0; slot * per < count; slot += 8)
    check.see(load_slots<arithmetic>(x, slot, count));
  return check.finite();
}

bool all_finite(const std::byte* x, std::int64_t count, DType dtype) {
  // bf16 values are looked at in pairs, whatever multiplies them later.
  return dtype == DType::fp32 ? all_finite_as<Arithmetic::fp32>(x, count)
                              : all_finite_as<Arithmetic::bf16_pair>(x, count);
}

}  // namespace

const ActivationKernels avx2_activations = {pack_tile, pack_dot, avx2_epilogue, avx2_pack_rows, all_finite};

}  // namespace cross::kernels
