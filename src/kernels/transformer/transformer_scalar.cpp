// Compiled for scalar only.
#define CROSS_TRANSFORMER_LANES 4
#include "kernels/transformer/transformer_body.h"

namespace cross::kernels {

const TransformerKernels scalar_transformer = {layer_norm, attention, attention_scratch, gelu, accumulate};

}  // namespace cross::kernels
