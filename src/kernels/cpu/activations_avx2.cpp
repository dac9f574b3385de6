// Packing and epilogue in 8×8 tiles; used on AVX2 and AVX-512 CPUs alike, since both are bound by loads and
// stores.
#include <immintrin.h>
#include <sleef.h>

#include <cstring>

#include "kernels/cpu/activations.h"
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

inline __m256 activate(Activation activation, __m256 x) {
  const __m256 one = _mm256_set1_ps(1.0f);
  const __m256 half = _mm256_set1_ps(0.5f);
  switch (activation) {
    case Activation::none:
      return x;
    case Activation::relu:
      return _mm256_max_ps(_mm256_setzero_ps(), x);  // second operand wins for NaN
    case Activation::gelu: {
      const __m256 erf = Sleef_erff8_u10avx2(_mm256_mul_ps(x, _mm256_set1_ps(0.70710678118654752f)));
      return _mm256_mul_ps(_mm256_mul_ps(half, x), _mm256_add_ps(one, erf));
    }
    case Activation::gelu_tanh: {
      const __m256 cube = _mm256_mul_ps(_mm256_mul_ps(x, x), x);
      const __m256 inner = _mm256_fmadd_ps(_mm256_set1_ps(0.044715f), cube, x);
      const __m256 tanh = Sleef_tanhf8_u10avx2(_mm256_mul_ps(_mm256_set1_ps(0.79788456080286536f), inner));
      return _mm256_mul_ps(_mm256_mul_ps(half, x), _mm256_add_ps(one, tanh));
    }
    case Activation::silu: {
      const __m256 exp = Sleef_expf8_u10avx2(_mm256_sub_ps(_mm256_setzero_ps(), x));
      return _mm256_div_ps(x, _mm256_add_ps(one, exp));
    }
  }
  return x;
}

/// Round to nearest even, NaN kept quiet: the same as bf16_from_float.
inline __m128i to_bf16(__m256 value) {
  const __m256i bits = _mm256_castps_si256(value);
  const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
  const __m256i rounded =
      _mm256_srli_epi32(_mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff))), 16);
  const __m256i quiet = _mm256_or_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(0x40));
  const __m256i is_nan = _mm256_castps_si256(_mm256_cmp_ps(value, value, _CMP_UNORD_Q));
  const __m256i chosen = _mm256_blendv_epi8(rounded, quiet, is_nan);
  return _mm_packus_epi32(_mm256_castsi256_si128(chosen), _mm256_extracti128_si256(chosen, 1));
}

inline __m256 load_partial(const float* at, int count) {
  return count == 8 ? _mm256_loadu_ps(at) : _mm256_maskload_ps(at, lane_mask(count));
}

/// Stores eight neighbouring rows of one token; `count` of them are real.
inline void store_row(const EpilogueArgs& a, int token, int row, int count, __m256 value) {
  const std::int64_t base = token * a.y_stride;
  if (a.row_map != nullptr) {
    alignas(32) float lanes[8];
    _mm256_store_ps(lanes, value);
    for (int i = 0; i < count; ++i) {
      const std::int64_t at = base + a.row_map[row + i];
      if (a.y_dtype == DType::fp32) {
        const float residual = a.residual != nullptr ? reinterpret_cast<const float*>(a.residual)[at] : 0.0f;
        reinterpret_cast<float*>(a.y)[at] = a.residual != nullptr ? lanes[i] + residual : lanes[i];
      } else {
        float sum = lanes[i];
        if (a.residual != nullptr)
          sum += float_from_bf16(reinterpret_cast<const std::uint16_t*>(a.residual)[at]);
        reinterpret_cast<std::uint16_t*>(a.y)[at] = bf16_from_float(sum);
      }
    }
    return;
  }
  const std::int64_t at = base + a.first_row + row;
  if (a.y_dtype == DType::fp32) {
    if (a.residual != nullptr)
      value = _mm256_add_ps(value, load_partial(reinterpret_cast<const float*>(a.residual) + at, count));
    float* y = reinterpret_cast<float*>(a.y) + at;
    if (count == 8)
      _mm256_storeu_ps(y, value);
    else
      _mm256_maskstore_ps(y, lane_mask(count), value);
    return;
  }
  if (a.residual != nullptr) {
    const __m128i bits = load_u16(a.residual + at * 2, count);
    value = _mm256_add_ps(value, _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(bits), 16)));
  }
  const __m128i packed = to_bf16(value);
  std::byte* y = a.y + at * 2;
  if (count == 8)
    _mm_storeu_si128(reinterpret_cast<__m128i*>(y), packed);
  else
    std::memcpy(y, &packed, static_cast<std::size_t>(count) * 2);
}

inline __m256 finish(const EpilogueArgs& a, __m256 value, __m256 bias) {
  return activate(a.activation, a.bias != nullptr ? _mm256_add_ps(value, bias) : value);
}

/// The most frequent epilogue: rows in order, at most a bias.
inline bool plain(const EpilogueArgs& a) {
  return a.row_map == nullptr && a.residual == nullptr && a.activation == Activation::none;
}

/// Rows [row, row + 8) of eight tokens, from accumulators with tokens contiguous.
inline void store_8x8(const EpilogueArgs& a, int row, int token) {
  const int count = a.rows - row < 8 ? a.rows - row : 8;
  const __m256 bias = a.bias != nullptr ? load_partial(a.bias + row, count) : _mm256_setzero_ps();
  __m256 tile[8];
  const float* acc = a.acc + row * a.row_stride + token;
  if (count == 8) {
    CROSS_UNROLL
    for (int i = 0; i < 8; ++i) tile[i] = _mm256_load_ps(acc + i * a.row_stride);
  } else {
    for (int i = 0; i < 8; ++i)
      tile[i] = i < count ? _mm256_load_ps(acc + i * a.row_stride) : _mm256_setzero_ps();
  }
  transpose(tile);
  const int tokens = a.tokens - token < 8 ? a.tokens - token : 8;
  for (int i = 0; i < tokens; ++i) store_row(a, token + i, row, count, finish(a, tile[i], bias));
}

/// Rows [row, row + 8) of eight tokens, bias added: row[i] of token i.
inline void load_8x8(const EpilogueArgs& a, int row, int token, __m256 (&tile)[8]) {
  const float* acc = a.acc + row * a.row_stride + token;
  CROSS_UNROLL
  for (int i = 0; i < 8; ++i) tile[i] = _mm256_load_ps(acc + i * a.row_stride);
  transpose(tile);
  if (a.bias == nullptr) return;
  const __m256 bias = _mm256_loadu_ps(a.bias + row);
  CROSS_UNROLL
  for (int i = 0; i < 8; ++i) tile[i] = _mm256_add_ps(tile[i], bias);
}

/// A whole cache line of y (16 rows in fp32, 32 in bf16) of eight tokens, plain. Tokens are a multiple of 4
/// KiB apart as a rule and share a cache set: a line must be filled at once, or it leaves L1 before its
/// second half comes.
inline void store_line_fp32(const EpilogueArgs& a, int row, int token) {
  __m256 low[8], high[8];
  load_8x8(a, row, token, low);
  load_8x8(a, row + 8, token, high);
  float* y = reinterpret_cast<float*>(a.y) + token * a.y_stride + a.first_row + row;
  CROSS_UNROLL
  for (int i = 0; i < 8; ++i) {
    _mm256_storeu_ps(y + i * a.y_stride, low[i]);
    _mm256_storeu_ps(y + i * a.y_stride + 8, high[i]);
  }
}

inline void store_line_bf16(const EpilogueArgs& a, int row, int token) {
  __m256i staged[2][8];
  CROSS_UNROLL
  for (int half = 0; half < 2; ++half) {
    __m256 low[8], high[8];
    load_8x8(a, row + 16 * half, token, low);
    load_8x8(a, row + 16 * half + 8, token, high);
    CROSS_UNROLL
    for (int i = 0; i < 8; ++i) staged[half][i] = _mm256_set_m128i(to_bf16(high[i]), to_bf16(low[i]));
  }
  auto* y = reinterpret_cast<std::uint16_t*>(a.y) + token * a.y_stride + a.first_row + row;
  CROSS_UNROLL
  for (int i = 0; i < 8; ++i) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(y + i * a.y_stride), staged[0][i]);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(y + i * a.y_stride + 16), staged[1][i]);
  }
}

void epilogue(const EpilogueArgs& a) {
  if (a.row_stride == 1) {
    for (int row = 0; row < a.rows; row += 8) {
      const int count = a.rows - row < 8 ? a.rows - row : 8;
      const __m256 bias = a.bias != nullptr ? load_partial(a.bias + row, count) : _mm256_setzero_ps();
      for (int t = 0; t < a.tokens; ++t)
        store_row(a, t, row, count, finish(a, load_partial(a.acc + t * a.token_stride + row, count), bias));
    }
    return;
  }
  // A cache line of y (16 fp32 rows, 32 bf16 rows) is filled while it is in L1; see pack_tile.
  const int line = a.y_dtype == DType::fp32 ? 16 : 32;
  for (int row = 0; row < a.rows; row += line)
    for (int token = 0; token < a.tokens; token += 8) {
      if (plain(a) && row + line <= a.rows && token + 8 <= a.tokens) {
        a.y_dtype == DType::fp32 ? store_line_fp32(a, row, token) : store_line_bf16(a, row, token);
        continue;
      }
      for (int part = row; part < row + line && part < a.rows; part += 8) store_8x8(a, part, token);
    }
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

const ActivationKernels avx2_activations = {pack_tile, pack_dot, epilogue, all_finite};

}  // namespace cross::kernels
