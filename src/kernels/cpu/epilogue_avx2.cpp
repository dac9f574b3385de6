// What follows a product, in 8×8 tiles; used on AVX2 and AVX-512 CPUs alike.
#include <sleef.h>

#include "kernels/cpu/activations.h"
#include "kernels/cpu/avx2_tile.h"
#include "kernels/vector_math.h"

namespace cross::kernels {
namespace {

typedef std::int32_t Ints __attribute__((vector_size(32)));

inline __m256 activate(Activation activation, __m256 x) {
  const __m256 one = _mm256_set1_ps(1.0f);
  const __m256 half = _mm256_set1_ps(0.5f);
  switch (activation) {
    case Activation::none:
      return x;
    case Activation::relu:
      return _mm256_max_ps(_mm256_setzero_ps(), x);  // second operand wins for NaN
    case Activation::gelu:
      return gelu_of<__m256, Ints>(x);
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

/// Round to nearest even, NaN kept quiet, in the low halves: the same as bf16_from_float.
inline __m256i bf16_bits(__m256 value) {
  const __m256i bits = _mm256_castps_si256(value);
  const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
  const __m256i rounded =
      _mm256_srli_epi32(_mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff))), 16);
  const __m256i quiet = _mm256_or_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(0x40));
  const __m256i is_nan = _mm256_castps_si256(_mm256_cmp_ps(value, value, _CMP_UNORD_Q));
  return _mm256_blendv_epi8(rounded, quiet, is_nan);
}

inline __m128i to_bf16(__m256 value) {
  const __m256i bits = bf16_bits(value);
  return _mm_packus_epi32(_mm256_castsi256_si128(bits), _mm256_extracti128_si256(bits, 1));
}

inline __m256 load_partial(const float* at, int count) {
  return count == 8 ? _mm256_loadu_ps(at) : _mm256_maskload_ps(at, lane_mask(count));
}

inline __m256 widened(__m128i bits) {
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(bits), 16));
}

/// Stores eight neighbouring rows of one token where the row map says; `count` of them are real.
inline void scatter_row(const EpilogueArgs& a, std::int64_t base, int row, int count, __m256 value) {
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
}

/// Stores eight neighbouring rows of one token; `count` of them are real.
inline void store_row(const EpilogueArgs& a, int token, int row, int count, __m256 value) {
  const std::int64_t base = token * a.y_stride;
  if (a.row_map != nullptr) return scatter_row(a, base, row, count, value);
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
  if (a.residual != nullptr) value = _mm256_add_ps(value, widened(load_u16(a.residual + at * 2, count)));
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

inline const float* acc_of(const EpilogueArgs& a, int row) {
  return a.acc + (a.acc_rows != nullptr ? a.acc_rows[row] : row) * a.row_stride;
}

/// Rows [row, row + 8) of eight tokens, from accumulators with tokens contiguous.
inline void store_8x8(const EpilogueArgs& a, int row, int token) {
  const int count = a.rows - row < 8 ? a.rows - row : 8;
  const __m256 bias = a.bias != nullptr ? load_partial(a.bias + row, count) : _mm256_setzero_ps();
  __m256 tile[8];
  for (int i = 0; i < 8; ++i)
    tile[i] = i < count ? _mm256_load_ps(acc_of(a, row + i) + token) : _mm256_setzero_ps();
  transpose(tile);
  const int tokens = a.tokens - token < 8 ? a.tokens - token : 8;
  for (int i = 0; i < tokens; ++i) store_row(a, token + i, row, count, finish(a, tile[i], bias));
}

/// Rows [row, row + 8) of eight tokens, bias added and activated: tile[i] of token i.
inline void finished_8x8(const EpilogueArgs& a, int row, int token, __m256 (&tile)[8]) {
  CROSS_UNROLL
  for (int i = 0; i < 8; ++i) tile[i] = _mm256_load_ps(acc_of(a, row + i) + token);
  transpose(tile);
  if (a.bias != nullptr) {
    const __m256 bias = _mm256_loadu_ps(a.bias + row);
    CROSS_UNROLL
    for (int i = 0; i < 8; ++i) tile[i] = _mm256_add_ps(tile[i], bias);
  }
  if (a.activation != Activation::none)
    for (int i = 0; i < 8; ++i) tile[i] = activate(a.activation, tile[i]);
}

/// A whole cache line of y (16 rows in fp32, 32 in bf16) of eight tokens, rows in order. Tokens are a
/// multiple of 4 KiB apart as a rule and share a cache set: a line must be filled at once, or it leaves L1
/// before its second half comes.
inline void store_line_fp32(const EpilogueArgs& a, int row, int token) {
  __m256 half[2][8];
  finished_8x8(a, row, token, half[0]);
  finished_8x8(a, row + 8, token, half[1]);
  const std::int64_t at = token * a.y_stride + a.first_row + row;
  if (a.residual != nullptr) {
    const float* residual = reinterpret_cast<const float*>(a.residual) + at;
    CROSS_UNROLL
    for (int i = 0; i < 8; ++i) CROSS_UNROLL
    for (int h = 0; h < 2; ++h)
      half[h][i] = _mm256_add_ps(half[h][i], _mm256_loadu_ps(residual + i * a.y_stride + 8 * h));
  }
  float* y = reinterpret_cast<float*>(a.y) + at;
  CROSS_UNROLL
  for (int i = 0; i < 8; ++i) CROSS_UNROLL
  for (int h = 0; h < 2; ++h) _mm256_storeu_ps(y + i * a.y_stride + 8 * h, half[h][i]);
}

inline void store_line_bf16(const EpilogueArgs& a, int row, int token) {
  const std::int64_t at = token * a.y_stride + a.first_row + row;
  __m128i staged[4][8];
  CROSS_UNROLL
  for (int quarter = 0; quarter < 4; ++quarter) {
    __m256 tile[8];
    finished_8x8(a, row + 8 * quarter, token, tile);
    if (a.residual != nullptr) {
      const auto* residual = reinterpret_cast<const std::uint16_t*>(a.residual) + at + 8 * quarter;
      CROSS_UNROLL
      for (int i = 0; i < 8; ++i) {
        const auto* bits = reinterpret_cast<const __m128i*>(residual + i * a.y_stride);
        tile[i] = _mm256_add_ps(tile[i], widened(_mm_loadu_si128(bits)));
      }
    }
    CROSS_UNROLL
    for (int i = 0; i < 8; ++i) staged[quarter][i] = to_bf16(tile[i]);
  }
  auto* y = reinterpret_cast<std::uint16_t*>(a.y) + at;
  CROSS_UNROLL
  for (int i = 0; i < 8; ++i) CROSS_UNROLL
  for (int quarter = 0; quarter < 4; ++quarter)
    _mm_storeu_si128(reinterpret_cast<__m128i*>(y + i * a.y_stride + 8 * quarter), staged[quarter][i]);
}

/// Sticky test for Inf and NaN in fp32.
class Finite {
 public:
  void see(__m256 value) {
    const __m256i exponent = _mm256_set1_epi32(0x7f800000);
    const __m256i bits = _mm256_and_si256(_mm256_castps_si256(value), exponent);
    found_ = _mm256_or_si256(found_, _mm256_cmpeq_epi32(bits, exponent));
  }
  bool all() const { return _mm256_testz_si256(found_, found_) != 0; }

 private:
  __m256i found_ = _mm256_setzero_si256();
};

template <Arithmetic arithmetic>
bool pack_rows_as(const PackRowsArgs& a) {
  constexpr int per = columns_per_element(arithmetic);
  Finite finite;
  for (int row = 0; row < a.rows; ++row) {
    const std::int64_t column = a.row_map != nullptr ? a.row_map[row] : a.first_row + row;
    const __m256 bias = a.bias != nullptr ? _mm256_broadcast_ss(a.bias + row) : _mm256_setzero_ps();
    const float* acc = a.acc + static_cast<std::int64_t>(row) * a.width;
    auto* out = reinterpret_cast<float*>(a.out) + column / per * a.width;
    const bool high = column % per != 0;
    for (int t = 0; t < a.width; t += 8) {
      __m256 slot = _mm256_load_ps(acc + t);
      if (a.bias != nullptr) slot = _mm256_add_ps(slot, bias);
      slot = activate(a.activation, slot);
      // In the plan's type between two products, as if it had been stored. Rounding may give infinity.
      if constexpr (arithmetic != Arithmetic::fp32)
        slot = _mm256_castsi256_ps(_mm256_slli_epi32(bf16_bits(slot), 16));
      finite.see(slot);
      if constexpr (arithmetic == Arithmetic::bf16_pair) {
        const __m256i bits = _mm256_castps_si256(slot);
        const __m256i old = _mm256_castps_si256(_mm256_load_ps(out + t));
        slot = _mm256_castsi256_ps(high ? _mm256_blend_epi16(old, bits, 0xaa)
                                        : _mm256_blend_epi16(old, _mm256_srli_epi32(bits, 16), 0x55));
      }
      _mm256_store_ps(out + t, slot);
    }
  }
  return finite.all();
}

}  // namespace

bool avx2_pack_rows(const PackRowsArgs& a) {
  switch (a.arithmetic) {
    case Arithmetic::fp32:
      return pack_rows_as<Arithmetic::fp32>(a);
    case Arithmetic::bf16_widened:
      return pack_rows_as<Arithmetic::bf16_widened>(a);
    case Arithmetic::bf16_pair:
      break;
  }
  return pack_rows_as<Arithmetic::bf16_pair>(a);
}

void avx2_epilogue(const EpilogueArgs& a) {
  if (a.row_stride == 1) {
    for (int t = 0; t < a.tokens; ++t)
      for (int row = 0; row < a.rows; row += 8) {
        const int count = a.rows - row < 8 ? a.rows - row : 8;
        const __m256 bias = a.bias != nullptr ? load_partial(a.bias + row, count) : _mm256_setzero_ps();
        store_row(a, t, row, count, finish(a, load_partial(a.acc + t * a.token_stride + row, count), bias));
      }
    return;
  }
  // A cache line of y (16 fp32 rows, 32 bf16 rows) is filled while it is in L1; see pack_tile.
  const int line = a.y_dtype == DType::fp32 ? 16 : 32;
  for (int row = 0; row < a.rows; row += line)
    for (int token = 0; token < a.tokens; token += 8) {
      if (a.row_map == nullptr && row + line <= a.rows && token + 8 <= a.tokens) {
        a.y_dtype == DType::fp32 ? store_line_fp32(a, row, token) : store_line_bf16(a, row, token);
        continue;
      }
      for (int part = row; part < row + line && part < a.rows; part += 8) store_8x8(a, part, token);
    }
}

}  // namespace cross::kernels
