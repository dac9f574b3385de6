#include "kernels/cuda/prefill/two_four_overflow.cuh"
#include "kernels/cuda/rows.h"

namespace cross::kernels::cuda {

GpuKernel two_four_overflow_sm90() {
  return {
      Format::two_four_overflow,
      "sm90",
      64,
      two_four_overflow_refuses,
      two_four_overflow_workspace,
      two_four_overflow_launch_after_counters,
      nullptr,
      {prefill_most_tokens, two_four_overflow_refuses, two_four_overflow_scratch, two_four_overflow_launch}};
}

}  // namespace cross::kernels::cuda
