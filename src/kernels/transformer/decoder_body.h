// The decoder kernels in vectors of CROSS_TRANSFORMER_LANES floats: one text, compiled once per ISA.
#pragma once

#include "kernels/transformer/transformer_body.h"

namespace cross::kernels {
namespace {

static_assert(key_panel % tile_width == 0 && causal_keys % key_panel == 0 && tile_rows == causal_rows);

/// What an excluded position scores: nothing beside any real score, and finite, so that differences are.
constexpr float excluded = -3e38f;

/// `lanes` values at `at`, in fp32.
template <bool bf16>
inline Vector load_wide(const std::byte* at) {
  if constexpr (bf16) {
    Halves bits;
    std::memcpy(&bits, at, sizeof bits);
    const Words words = __builtin_convertvector(bits, Words) << 16;
    Vector value;
    std::memcpy(&value, &words, sizeof value);
    return value;
  } else {
    Vector value;
    std::memcpy(&value, at, sizeof value);
    return value;
  }
}

void rms_norm(const RmsNormArgs& a) {
  constexpr std::int64_t part = 512;
  alignas(64) float x[part];
  const std::size_t size = size_of(a.dtype);
  Vector sums = {};
  float rest = 0;
  for (std::int64_t begin = 0; begin < a.size; begin += part) {
    const std::int64_t count = std::min(part, a.size - begin);
    widen(a.x + static_cast<std::size_t>(begin) * size, a.dtype, count, x);
    std::int64_t i = 0;
    for (; i + lanes <= count; i += lanes) sums += load(x + i) * load(x + i);
    for (; i < count; ++i) rest += x[i] * x[i];
  }
  const float factor = 1.0f / std::sqrt((sum_of(sums) + rest) / static_cast<float>(a.size) + a.epsilon);
  for (std::int64_t begin = 0; begin < a.size; begin += part) {
    const std::int64_t count = std::min(part, a.size - begin);
    widen(a.x + static_cast<std::size_t>(begin) * size, a.dtype, count, x);
    std::int64_t i = 0;
    for (; i + lanes <= count; i += lanes) store(x + i, load(x + i) * factor * load(a.scale + begin + i));
    for (; i < count; ++i) x[i] = x[i] * factor * a.scale[begin + i];
    narrow(x, count, a.dtype, a.y + static_cast<std::size_t>(begin) * size);
  }
}

void rotary(const RotaryArgs& a) {
  constexpr std::int64_t part = 64;
  const std::int64_t half = a.head_size / 2;
  const std::size_t size = size_of(a.dtype);
  alignas(64) float first[part], second[part];
  for (std::int64_t head = 0; head < a.heads; ++head)
    for (std::int64_t begin = 0; begin < half; begin += part) {
      const std::int64_t count = std::min(part, half - begin);
      std::byte* at = a.x + static_cast<std::size_t>(head * a.head_size + begin) * size;
      std::byte* partner = at + static_cast<std::size_t>(half) * size;
      widen(at, a.dtype, count, first);
      widen(partner, a.dtype, count, second);
      for (std::int64_t i = 0; i < count; ++i) {
        const float cosine = a.cosine[begin + i], sine = a.sine[begin + i];
        const float rotated = first[i] * cosine - second[i] * sine;
        second[i] = second[i] * cosine + first[i] * sine;
        first[i] = rotated;
      }
      narrow(first, count, a.dtype, at);
      narrow(second, count, a.dtype, partner);
    }
}

/// x·sigmoid(x); e^(−|x|) never overflows.
inline Vector silu_of(Vector x) {
  const Vector power = exp_of_negative(x < 0 ? x : -x);
  return x * ((x < 0 ? power : broadcast(1.0f)) / (1.0f + power));
}

void silu_multiply(const std::byte* gate, const std::byte* up, DType dtype, std::int64_t size, std::byte* y) {
  constexpr std::int64_t part = 256;
  alignas(64) float g[part], u[part];
  for (std::int64_t begin = 0; begin < size; begin += part) {
    const std::int64_t count = std::min(part, size - begin);
    const std::size_t offset = static_cast<std::size_t>(begin) * size_of(dtype);
    const std::int64_t whole = round_up(count, lanes);
    std::fill(g + count, g + whole, 0.0f);
    std::fill(u + count, u + whole, 0.0f);
    widen(gate + offset, dtype, count, g);
    widen(up + offset, dtype, count, u);
    for (std::int64_t i = 0; i < whole; i += lanes) store(g + i, silu_of(load(g + i)) * load(u + i));
    narrow(g, count, dtype, y + offset);
  }
}

void widen_row(const std::byte* x, DType dtype, std::int64_t size, float* y) { widen(x, dtype, size, y); }

// ---- attention: four rows at a time, a row being one query head of one token

/// Scratch of a call, in fp32.
struct CausalScratch {
  std::int64_t padded_size;
  float* queries;  ///< [tile_rows, head_size], scaled
  float* scores;   ///< [tile_rows, causal_keys]
  float* sums;     ///< [tile_rows, padded_size]: Σ e^score · V so far
};

CausalScratch divide_causal(float* scratch, std::int64_t head_size) {
  CausalScratch s{};
  s.padded_size = padded_head(head_size);
  s.scores = scratch;
  s.sums = s.scores + tile_rows * causal_keys;
  s.queries = s.sums + tile_rows * s.padded_size;
  return s;
}

/// Positions [begin, end) that one row attends to, its largest score so far and the sum of its weights.
struct CausalRow {
  std::int64_t begin = 0, end = 0;
  float largest = excluded, sum = 0;
};

/// scores[r · causal_keys + t] = q_r · key_t for the `tile_width` keys of a panel that start at `keys`.
template <bool bf16>
inline void score_tile(const float* queries, std::int64_t head_size, const std::byte* keys, float* scores) {
  constexpr std::size_t size = bf16 ? 2 : 4;
  Vector sum[tile_rows][2] = {};
  for (std::int64_t d = 0; d < head_size; ++d) {
    const std::byte* at = keys + static_cast<std::size_t>(d * key_panel) * size;
    const Vector first = load_wide<bf16>(at), second = load_wide<bf16>(at + lanes * size);
    CROSS_UNROLL
    for (int r = 0; r < tile_rows; ++r) {
      const float factor = queries[r * head_size + d];
      sum[r][0] += factor * first;
      sum[r][1] += factor * second;
    }
  }
  CROSS_UNROLL
  for (int r = 0; r < tile_rows; ++r) {
    store(scores + r * causal_keys, sum[r][0]);
    store(scores + r * causal_keys + lanes, sum[r][1]);
  }
}

/// sums[r] += Σ_t scores[r, t] · value_t for `tile_width` dimensions and `count` keys from the start of a
/// block on.
template <bool bf16>
inline void add_values(const float* scores, std::int64_t count, const std::byte* values,
                       std::size_t block_bytes, std::int64_t padded_size, float* sums) {
  constexpr std::size_t size = bf16 ? 2 : 4;
  Vector sum[tile_rows][2];
  CROSS_UNROLL
  for (int r = 0; r < tile_rows; ++r) {
    sum[r][0] = load(sums + r * padded_size);
    sum[r][1] = load(sums + r * padded_size + lanes);
  }
  for (std::int64_t begin = 0; begin < count; begin += key_panel, values += block_bytes) {
    const std::int64_t end = std::min(begin + key_panel, count);
    const std::byte* at = values;
    for (std::int64_t t = begin; t < end; ++t, at += static_cast<std::size_t>(padded_size) * size) {
      const Vector first = load_wide<bf16>(at), second = load_wide<bf16>(at + lanes * size);
      CROSS_UNROLL
      for (int r = 0; r < tile_rows; ++r) {
        const float factor = scores[r * causal_keys + t];
        sum[r][0] += factor * first;
        sum[r][1] += factor * second;
      }
    }
  }
  CROSS_UNROLL
  for (int r = 0; r < tile_rows; ++r) {
    store(sums + r * padded_size, sum[r][0]);
    store(sums + r * padded_size + lanes, sum[r][1]);
  }
}

/// Scores of the keys [begin, begin + count) → their weights relative to the largest score so far; what was
/// summed up before is brought to the same scale.
inline void weigh(CausalRow& row, float* scores, std::int64_t begin, std::int64_t count, float* sums,
                  std::int64_t padded_size) {
  const std::int64_t whole = round_up(count, lanes);
  const std::int64_t low = std::clamp<std::int64_t>(row.begin - begin, 0, count);
  const std::int64_t high = std::clamp<std::int64_t>(row.end - begin, 0, count);
  std::fill(scores, scores + low, excluded);
  std::fill(scores + high, scores + whole, excluded);
  Vector most = broadcast(row.largest);
  for (std::int64_t t = 0; t < whole; t += lanes) most = larger(most, load(scores + t));
  const float largest = largest_of(most);
  Vector sum = {};
  for (std::int64_t t = 0; t < whole; t += lanes) {
    const Vector power = exp_of_negative(load(scores + t) - largest);
    store(scores + t, power);
    sum += power;
  }
  if (largest > row.largest) {
    const Vector factor = exp_of_negative(broadcast(row.largest - largest));
    for (std::int64_t d = 0; d < padded_size; d += lanes) store(sums + d, load(sums + d) * factor);
    row.sum *= factor[0];
  }
  row.sum += sum_of(sum);
  row.largest = largest;
}

template <bool bf16>
void causal_attention_of(const CausalAttentionArgs& a) {
  constexpr std::size_t size = bf16 ? 2 : 4;
  const CausalScratch s = divide_causal(a.scratch, a.head_size);
  const std::size_t block_bytes = static_cast<std::size_t>(a.block_stride) * size;
  const std::size_t keys_bytes = static_cast<std::size_t>(a.head_size * key_panel) * size;
  const auto offset = [&](std::int64_t row, std::int64_t stride) {
    return static_cast<std::size_t>(row / a.group * stride + row % a.group * a.head_size) * size;
  };
  for (std::int64_t row = 0; row < a.tokens * a.group; row += tile_rows) {
    const int rows = static_cast<int>(std::min<std::int64_t>(tile_rows, a.tokens * a.group - row));
    CausalRow state[tile_rows];
    std::fill(s.queries, s.queries + tile_rows * a.head_size, 0.0f);
    std::fill(s.sums, s.sums + tile_rows * s.padded_size, 0.0f);
    for (int r = 0; r < rows; ++r) {
      float* query = s.queries + r * a.head_size;
      widen(a.q + offset(row + r, a.stride), a.dtype, a.head_size, query);
      for (std::int64_t d = 0; d < a.head_size; ++d) query[d] *= a.scale;
      const std::int64_t position = a.first + (row + r) / a.group;
      state[r].begin = a.window > 0 ? std::max<std::int64_t>(0, position - a.window + 1) : 0;
      state[r].end = position + 1;
    }
    // Rows ascend by position: the first begins first, the last ends last.
    const std::int64_t last = state[rows - 1].end;
    for (std::int64_t begin = state[0].begin / key_panel * key_panel; begin < last; begin += causal_keys) {
      const std::int64_t count = std::min(causal_keys, last - begin);
      const std::byte* blocks = a.cache + static_cast<std::size_t>(begin / key_panel) * block_bytes;
      for (std::int64_t t = 0; t < count; t += tile_width)
        score_tile<bf16>(s.queries, a.head_size,
                         blocks + static_cast<std::size_t>(t / key_panel) * block_bytes +
                             static_cast<std::size_t>(t % key_panel) * size,
                         s.scores + t);
      for (int r = 0; r < rows; ++r)
        weigh(state[r], s.scores + r * causal_keys, begin, count, s.sums + r * s.padded_size, s.padded_size);
      for (std::int64_t d = 0; d < s.padded_size; d += tile_width)
        add_values<bf16>(s.scores, count, blocks + keys_bytes + static_cast<std::size_t>(d) * size,
                         block_bytes, s.padded_size, s.sums + d);
    }
    for (int r = 0; r < rows; ++r) {
      float* sums = s.sums + r * s.padded_size;
      const float factor = 1.0f / state[r].sum;
      for (std::int64_t d = 0; d < s.padded_size; d += lanes) store(sums + d, load(sums + d) * factor);
      narrow(sums, a.head_size, a.dtype, a.y + offset(row + r, a.y_stride));
    }
  }
}

void causal_attention(const CausalAttentionArgs& a) {
  if (a.dtype == DType::bf16)
    causal_attention_of<true>(a);
  else
    causal_attention_of<false>(a);
}

}  // namespace
}  // namespace cross::kernels
