#include "kernels/cuda/prefill/bitmap_planes.cuh"
#include "kernels/cuda/rows.h"

namespace cross::kernels::cuda {

GpuPrefill bitmap_planes_prefill() {
  return {prefill_most_tokens, bitmap_prefill_refuses, bitmap_prefill_scratch, bitmap_prefill_launch,
          bitmap_prefill_pays};
}

}  // namespace cross::kernels::cuda
