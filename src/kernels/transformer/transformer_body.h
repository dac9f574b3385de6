// The transformer kernels in vectors of CROSS_TRANSFORMER_LANES floats: one text, compiled once per ISA.
// Vectors are the compiler's own (GCC and clang), so there is nothing here that one instruction set alone
// has.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstring>

#include "kernels/cpu/unroll.h"
#include "kernels/transformer/transformer.h"
#include "kernels/vector_math.h"

namespace cross::kernels {
namespace {

constexpr std::int64_t lanes = CROSS_TRANSFORMER_LANES;
typedef float Vector __attribute__((vector_size(4 * lanes)));
typedef std::int32_t Ints __attribute__((vector_size(4 * lanes)));
typedef std::uint32_t Words __attribute__((vector_size(4 * lanes)));
typedef std::uint16_t Halves __attribute__((vector_size(2 * lanes)));

/// Attention works on tiles of `tile_rows` queries × two vectors: eight accumulators keep the multiply-add
/// units busy, and with what they are fed from they fit sixteen registers.
constexpr int tile_rows = 4;
constexpr std::int64_t tile_width = 2 * lanes;

inline Vector load(const float* at) {
  Vector value;
  std::memcpy(&value, at, sizeof value);
  return value;
}
inline void store(float* at, Vector value) { std::memcpy(at, &value, sizeof value); }
inline Vector broadcast(float value) { return value - Vector{}; }
inline Vector larger(Vector a, Vector b) { return a > b ? a : b; }

inline float sum_of(Vector value) {
  float sum = 0;
  for (int i = 0; i < lanes; ++i) sum += value[i];
  return sum;
}
inline float largest_of(Vector value) {
  float largest = value[0];
  for (int i = 1; i < lanes; ++i) largest = std::max(largest, value[i]);
  return largest;
}

constexpr std::int64_t round_up(std::int64_t value, std::int64_t to) { return (value + to - 1) / to * to; }

inline Vector exp_of_negative(Vector x) { return exp_of_negative<Vector, Ints>(x); }

/// Rows of heads are too short for a call of memcpy.
inline void copy(const std::byte* x, std::int64_t size, std::byte* y) {
  std::int64_t i = 0;
  for (; i + lanes <= size; i += lanes) {
    Vector value;
    std::memcpy(&value, x + 4 * i, sizeof value);
    std::memcpy(y + 4 * i, &value, sizeof value);
  }
  for (; i < size; ++i) std::memcpy(y + 4 * i, x + 4 * i, 4);
}

/// x[size] as fp32.
inline void widen(const std::byte* x, DType dtype, std::int64_t size, float* y) {
  if (dtype == DType::fp32) return copy(x, size, reinterpret_cast<std::byte*>(y));
  std::int64_t i = 0;
  for (; i + lanes <= size; i += lanes) {
    Halves bits;
    std::memcpy(&bits, x + 2 * i, sizeof bits);
    const Words words = __builtin_convertvector(bits, Words) << 16;
    std::memcpy(y + i, &words, sizeof words);
  }
  for (; i < size; ++i) {
    std::uint16_t bits;
    std::memcpy(&bits, x + 2 * i, sizeof bits);
    y[i] = float_from_bf16(bits);
  }
}

/// The reverse: rounded to nearest even, NaN stays NaN.
inline void narrow(const float* x, std::int64_t size, DType dtype, std::byte* y) {
  if (dtype == DType::fp32) return copy(reinterpret_cast<const std::byte*>(x), size, y);
  std::int64_t i = 0;
  for (; i + lanes <= size; i += lanes) {
    Words bits;
    std::memcpy(&bits, x + i, sizeof bits);
    const Words rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
    const Words quiet = (bits >> 16) | 0x40u;
    const Halves halves =
        __builtin_convertvector((bits & 0x7fffffffu) > 0x7f800000u ? quiet : rounded, Halves);
    std::memcpy(y + 2 * i, &halves, sizeof halves);
  }
  for (; i < size; ++i) {
    const std::uint16_t bits = bf16_from_float(x[i]);
    std::memcpy(y + 2 * i, &bits, sizeof bits);
  }
}

void accumulate(float* sum, const std::byte* x, DType dtype, std::int64_t size) {
  constexpr std::int64_t part = 256;
  float wide[part];
  for (std::int64_t begin = 0; begin < size; begin += part) {
    const std::int64_t count = std::min(part, size - begin);
    widen(x + static_cast<std::size_t>(begin) * size_of(dtype), dtype, count, wide);
    std::int64_t i = 0;
    for (; i + lanes <= count; i += lanes) store(sum + begin + i, load(sum + begin + i) + load(wide + i));
    for (; i < count; ++i) sum[begin + i] += wide[i];
  }
}

void gelu(std::byte* x, DType dtype, std::int64_t size) {
  float part[lanes];
  for (std::int64_t i = 0; i < size; i += lanes) {
    const std::int64_t count = std::min(lanes, size - i);
    std::byte* at = x + static_cast<std::size_t>(i) * size_of(dtype);
    if (count < lanes) std::fill(part, part + lanes, 0.0f);
    widen(at, dtype, count, part);
    store(part, gelu_of<Vector, Ints>(load(part)));
    narrow(part, count, dtype, at);
  }
}

void layer_norm(const LayerNormArgs& a) {
  float* x = a.scratch;
  widen(a.addends[0], a.dtype, a.size, x);
  for (int i = 1; i < 3 && a.addends[i] != nullptr; ++i) accumulate(x, a.addends[i], a.dtype, a.size);
  const auto count = static_cast<float>(a.size);
  const std::int64_t whole = a.size / lanes * lanes;
  Vector sum = {};
  for (std::int64_t i = 0; i < whole; i += lanes) sum += load(x + i);
  float total = sum_of(sum);
  for (std::int64_t i = whole; i < a.size; ++i) total += x[i];
  const float mean = total / count;
  Vector squares = {};
  for (std::int64_t i = 0; i < whole; i += lanes) {
    const Vector centred = load(x + i) - mean;
    squares += centred * centred;
  }
  float variance = sum_of(squares);
  for (std::int64_t i = whole; i < a.size; ++i) variance += (x[i] - mean) * (x[i] - mean);
  const float factor = 1.0f / std::sqrt(variance / count + a.epsilon);
  for (std::int64_t i = 0; i < whole; i += lanes)
    store(x + i, (load(x + i) - mean) * factor * load(a.scale + i) + load(a.shift + i));
  for (std::int64_t i = whole; i < a.size; ++i) x[i] = (x[i] - mean) * factor * a.scale[i] + a.shift[i];
  narrow(x, a.size, a.dtype, a.y);
}

/// Parts of the scratch of one head, in fp32.
struct AttentionScratch {
  std::int64_t padded_tokens, padded_size;
  float* keys;  ///< [padded_tokens / tile_width, head_size, tile_width]: Kᵀ in panels of neighbouring tokens
  float* values;   ///< [tokens, padded_size]
  float* queries;  ///< [tile_rows, head_size], scaled
  float* scores;   ///< [tile_rows, padded_tokens]
  float* row;      ///< [padded_size]
};

AttentionScratch divide_scratch(float* scratch, std::int64_t tokens, std::int64_t head_size) {
  AttentionScratch s{};
  s.padded_tokens = round_up(tokens, tile_width);
  s.padded_size = round_up(head_size, tile_width);
  s.keys = scratch;
  s.values = s.keys + s.padded_tokens * head_size;
  s.scores = s.values + tokens * s.padded_size;
  s.row = s.scores + tile_rows * s.padded_tokens;
  s.queries = s.row + s.padded_size;
  return s;
}

std::size_t attention_scratch(std::int64_t tokens, std::int64_t head_size) {
  const std::int64_t padded_tokens = round_up(tokens, tile_width);
  const std::int64_t padded_size = round_up(head_size, tile_width);
  return static_cast<std::size_t>(padded_tokens * (head_size + tile_rows) + (tokens + 1) * padded_size +
                                  tile_rows * head_size);
}

/// Packs K and V: both are read once for each query after this, from the second cache level at worst.
void pack_keys_and_values(const AttentionArgs& a, const AttentionScratch& s) {
  const auto row_bytes = static_cast<std::size_t>(a.stride) * size_of(a.dtype);
  for (std::int64_t t = 0; t < s.padded_tokens; ++t) {
    float* column = s.keys + t / tile_width * a.head_size * tile_width + t % tile_width;
    if (t >= a.tokens) {
      for (std::int64_t d = 0; d < a.head_size; ++d) column[d * tile_width] = 0;
      continue;
    }
    widen(a.k + static_cast<std::size_t>(t) * row_bytes, a.dtype, a.head_size, s.row);
    for (std::int64_t d = 0; d < a.head_size; ++d) column[d * tile_width] = s.row[d];
    float* value = s.values + t * s.padded_size;
    widen(a.v + static_cast<std::size_t>(t) * row_bytes, a.dtype, a.head_size, value);
    std::fill(value + a.head_size, value + s.padded_size, 0.0f);
  }
}

/// out[r · out_stride + column] = Σᵢ left[r · left_stride + i] · right[i · right_stride + column] for
/// `tile_rows` rows and `tile_width` columns.
inline void multiply_tile(const float* left, std::int64_t left_stride, const float* right,
                          std::int64_t right_stride, std::int64_t length, float* out,
                          std::int64_t out_stride) {
  Vector sum[tile_rows][2] = {};
  for (std::int64_t i = 0; i < length; ++i) {
    const Vector first = load(right + i * right_stride), second = load(right + i * right_stride + lanes);
    CROSS_UNROLL
    for (int r = 0; r < tile_rows; ++r) {
      const float factor = left[r * left_stride + i];
      sum[r][0] += factor * first;
      sum[r][1] += factor * second;
    }
  }
  CROSS_UNROLL
  for (int r = 0; r < tile_rows; ++r) {
    store(out + r * out_stride, sum[r][0]);
    store(out + r * out_stride + lanes, sum[r][1]);
  }
}

/// scores → e^(score − largest), in place; returns 1 / their sum.
inline float exponentiate(float* scores, std::int64_t tokens, std::int64_t padded_tokens) {
  // What pads the row contributes 1e-38 at most.
  std::fill(scores + tokens, scores + padded_tokens, -3e38f);
  Vector most = load(scores);
  for (std::int64_t t = lanes; t < padded_tokens; t += lanes) most = larger(most, load(scores + t));
  const float largest = largest_of(most);
  Vector sum = {};
  for (std::int64_t t = 0; t < padded_tokens; t += lanes) {
    const Vector power = exp_of_negative(load(scores + t) - largest);
    store(scores + t, power);
    sum += power;
  }
  return 1.0f / sum_of(sum);
}

void attention(const AttentionArgs& a) {
  const AttentionScratch s = divide_scratch(a.scratch, a.tokens, a.head_size);
  const std::size_t size = size_of(a.dtype);
  pack_keys_and_values(a, s);
  float tile[tile_rows * tile_width];
  float factors[tile_rows];
  for (std::int64_t first = 0; first < a.tokens; first += tile_rows) {
    const int rows = static_cast<int>(std::min<std::int64_t>(tile_rows, a.tokens - first));
    for (int r = 0; r < rows; ++r)
      widen(a.q + static_cast<std::size_t>((first + r) * a.stride) * size, a.dtype, a.head_size,
            s.queries + r * a.head_size);
    std::fill(s.queries + rows * a.head_size, s.queries + tile_rows * a.head_size, 0.0f);
    for (std::int64_t i = 0; i < rows * a.head_size; ++i) s.queries[i] *= a.scale;
    for (std::int64_t t = 0; t < s.padded_tokens; t += tile_width)
      multiply_tile(s.queries, a.head_size, s.keys + t * a.head_size, tile_width, a.head_size, s.scores + t,
                    s.padded_tokens);
    for (int r = 0; r < rows; ++r)
      factors[r] = exponentiate(s.scores + r * s.padded_tokens, a.tokens, s.padded_tokens);
    for (std::int64_t d = 0; d < a.head_size; d += tile_width) {
      multiply_tile(s.scores, s.padded_tokens, s.values + d, s.padded_size, a.tokens, tile, tile_width);
      const std::int64_t count = std::min(tile_width, a.head_size - d);
      for (int r = 0; r < rows; ++r) {
        for (std::int64_t i = 0; i < tile_width; ++i) tile[r * tile_width + i] *= factors[r];
        narrow(tile + r * tile_width, count, a.dtype,
               a.y + static_cast<std::size_t>((first + r) * a.y_stride + d) * size);
      }
    }
  }
}

}  // namespace
}  // namespace cross::kernels
