// What a transformer computes beside weight products, one token or one head at a time: whoever calls spreads
// the calls over threads. Values are fp32 or bf16 in memory, arithmetic is fp32.
#pragma once

#include <cstddef>
#include <cstdint>

#include "cross/dtype.h"
#include "kernels/isa.h"
#include "kernels/transformer/decoder_kernels.h"

namespace cross::kernels {

/// One row: y = (x − mean(x)) / √(var(x) + epsilon) · scale + shift, where x is the sum of the addends.
struct LayerNormArgs {
  const std::byte* addends[3] = {};  ///< [size] each; at least the first, no gaps
  DType dtype = DType::fp32;         ///< of the addends and of y
  std::int64_t size = 0;
  const float* scale = nullptr;  ///< [size]
  const float* shift = nullptr;  ///< [size]
  float epsilon = 0;
  std::byte* y = nullptr;    ///< [size]; may be an addend
  float* scratch = nullptr;  ///< [size]
};

/// One head of one sentence, every token attending to all: Y = softmax(scale · Q·Kᵀ) · V.
struct AttentionArgs {
  const std::byte* q = nullptr;  ///< [tokens, head_size] with rows `stride` elements apart, as k and v
  const std::byte* k = nullptr;
  const std::byte* v = nullptr;
  std::int64_t stride = 0;
  DType dtype = DType::fp32;  ///< of q, k, v and y
  std::int64_t tokens = 0;
  std::int64_t head_size = 0;
  float scale = 1;
  std::byte* y = nullptr;  ///< [tokens, head_size] with rows `y_stride` elements apart
  std::int64_t y_stride = 0;
  float* scratch = nullptr;  ///< attention_scratch(tokens, head_size) floats, 64-byte aligned
};

struct TransformerKernels {
  void (*layer_norm)(const LayerNormArgs& args);
  void (*attention)(const AttentionArgs& args);
  std::size_t (*attention_scratch)(std::int64_t tokens, std::int64_t head_size);
  /// x = x·Φ(x) in place, Φ the normal distribution: the same as Activation::gelu within 3e-7·max(1, |x|), in
  /// a fraction of its time.
  void (*gelu)(std::byte* x, DType dtype, std::int64_t size);
  /// sum += x
  void (*accumulate)(float* sum, const std::byte* x, DType dtype, std::int64_t size);

  void (*rms_norm)(const RmsNormArgs& args);
  void (*rotary)(const RotaryArgs& args);
  /// y = gate · sigmoid(gate) · up; y may be either.
  void (*silu_multiply)(const std::byte* gate, const std::byte* up, DType dtype, std::int64_t size,
                        std::byte* y);
  void (*causal_attention)(const CausalAttentionArgs& args);
  /// y = x in fp32
  void (*widen)(const std::byte* x, DType dtype, std::int64_t size, float* y);
};

extern const TransformerKernels scalar_transformer;
extern const TransformerKernels avx2_transformer;
extern const TransformerKernels avx512_transformer;

/// The best for this CPU, no better than `most`.
const TransformerKernels& transformer_kernels(Isa most);

}  // namespace cross::kernels
