#include "kernels/transformer/transformer.h"

namespace cross::kernels {

const TransformerKernels& transformer_kernels(Isa most) {
  // Asks the CPU itself: where AVX-512 is emulated for tests of the products, these are still native.
  if (most >= Isa::avx512 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
    return avx512_transformer;
  if (most >= Isa::avx2) return avx2_transformer;
  return scalar_transformer;
}

}  // namespace cross::kernels
