// Compiled for avx512 only: nothing here may be called before the CPU was checked.
#define CROSS_TRANSFORMER_LANES 16
#include "kernels/transformer/decoder_body.h"

namespace cross::kernels {

const TransformerKernels avx512_transformer = {
    layer_norm, attention,     attention_scratch, gelu,     accumulate, rms_norm,
    rotary,     silu_multiply, causal_attention,  widen_row};

}  // namespace cross::kernels
