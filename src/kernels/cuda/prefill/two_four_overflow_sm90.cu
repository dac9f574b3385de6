#include "kernels/cuda/prefill/at_few_tokens.h"
#include "kernels/cuda/prefill/two_four_overflow.cuh"
#include "kernels/cuda/rows.h"

namespace cross::kernels::cuda {

GpuKernel two_four_overflow_sm90() {
  return prefill_at_any_tokens<two_four_overflow_refuses, two_four_overflow_scratch,
                               two_four_overflow_launch>(Format::two_four_overflow, 64, prefill_most_tokens);
}

}  // namespace cross::kernels::cuda
