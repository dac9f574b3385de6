// Compiled for scalar only.
#define CROSS_TRANSFORMER_LANES 4
#include "kernels/transformer/decoder_body.h"

namespace cross::kernels {

const TransformerKernels scalar_transformer = {
    layer_norm, attention,     attention_scratch, gelu,     accumulate, rms_norm,
    rotary,     silu_multiply, causal_attention,  widen_row};

}  // namespace cross::kernels
