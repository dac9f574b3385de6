#include "kernels/cuda/prefill/two_four_prefill.cuh"
#include "kernels/cuda/rows.h"

namespace cross::kernels::cuda {

GpuPrefill two_four_prefill() {
  return {prefill_most_tokens, two_four_prefill_refuses, two_four_prefill_scratch, two_four_prefill_launch,
          two_four_prefill_pays};
}

}  // namespace cross::kernels::cuda
