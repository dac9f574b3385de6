#define CROSS_GPU_ARCH sm80
#include "kernels/cuda/gather8_launch.cuh"
#include "kernels/cuda/rows.h"

namespace cross::kernels::cuda {

GpuKernel gather8_sm80() {
  return {
      Format::gather8,     "sm80", 64, sm80::gather8_refuses, sm80::gather8_workspace, sm80::gather8_launch,
      sm80::gather8_expand};
}

}  // namespace cross::kernels::cuda
