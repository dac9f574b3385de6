// Arguments of the kernels that only decoders need (transformer.h has the table), and the layout of their
// cache.
#pragma once

#include <cstddef>
#include <cstdint>

#include "cross/dtype.h"

namespace cross::kernels {

/// One row: y = x / √(mean(x²) + epsilon) · scale.
struct RmsNormArgs {
  const std::byte* x = nullptr;  ///< [size]
  DType dtype = DType::fp32;     ///< of x and y
  std::int64_t size = 0;
  const float* scale = nullptr;  ///< [size]
  float epsilon = 0;
  std::byte* y = nullptr;  ///< [size]; may be x
};

/// Neighbouring heads of one token, in place. With a the first half of a head and b the second:
///
///     (a, b) → (a·cos − b·sin, b·cos + a·sin)
struct RotaryArgs {
  std::byte* x = nullptr;  ///< [heads, head_size]
  DType dtype = DType::fp32;
  std::int64_t heads = 0;
  std::int64_t head_size = 0;     ///< even
  const float* cosine = nullptr;  ///< [head_size / 2]
  const float* sine = nullptr;
};

/// How the cache of one head stands in memory, whatever the ISA: blocks of `key_panel` neighbouring tokens.
/// In a block first the keys, one dimension of all tokens after the other, so that lanes run along tokens
/// when scores are computed; then the values, token by token, so that lanes run along dimensions when they
/// are summed up. What pads them is zero.
///
///     key of token t, dimension d     block[d · key_panel + t]
///     value of token t, dimension d   block[head_size · key_panel + t · padded_head(head_size) + d]
inline constexpr std::int64_t key_panel = 32;
constexpr std::int64_t padded_head(std::int64_t head_size) {
  return (head_size + key_panel - 1) / key_panel * key_panel;
}
/// Elements of a block.
constexpr std::int64_t cache_block(std::int64_t head_size) {
  return (head_size + padded_head(head_size)) * key_panel;
}

/// Some neighbouring tokens of a sequence, all query heads that share one key and value head: token t at
/// position p = first + t attends to the positions from max(0, p − window + 1) to p.
///
///     y = softmax(scale · q·Kᵀ) · V
struct CausalAttentionArgs {
  const std::byte* q = nullptr;  ///< [tokens, group, head_size] with tokens `stride` elements apart
  std::int64_t stride = 0;
  DType dtype = DType::fp32;  ///< of q, cache and y
  std::int64_t tokens = 0;
  std::int64_t group = 0;
  std::int64_t head_size = 0;
  std::int64_t first = 0;   ///< position of the first token; the cache holds all tokens up to the last
  std::int64_t window = 0;  ///< 0: no limit
  const std::byte* cache = nullptr;  ///< block of the positions from 0 on
  std::int64_t block_stride = 0;     ///< elements from one block to the next
  float scale = 1;
  std::byte* y = nullptr;  ///< as q, with tokens `y_stride` elements apart
  std::int64_t y_stride = 0;
  float* scratch = nullptr;  ///< causal_attention_scratch(head_size) floats, 64-byte aligned
};

/// Query rows that are computed together, and keys whose scores are computed before their values are summed
/// up: the scores of a step stay in the first cache level.
inline constexpr std::int64_t causal_rows = 4, causal_keys = 256;

/// Floats of scratch of a call, however long the sequence.
constexpr std::size_t causal_attention_scratch(std::int64_t head_size) {
  return static_cast<std::size_t>(causal_rows * (causal_keys + padded_head(head_size) + head_size));
}

}  // namespace cross::kernels
