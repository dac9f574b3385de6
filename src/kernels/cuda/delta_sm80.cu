#define CROSS_GPU_ARCH sm80
#include "kernels/cuda/delta_launch.cuh"
#include "kernels/cuda/rows.h"

namespace cross::kernels::cuda {

GpuKernel delta4_sm80() {
  return {Format::delta4,    "sm80", 16, sm80::delta_refuses, sm80::delta_workspace, sm80::delta_launch,
          sm80::delta_expand};
}
GpuKernel delta8_sm80() {
  return {Format::delta8,    "sm80", 16, sm80::delta_refuses, sm80::delta_workspace, sm80::delta_launch,
          sm80::delta_expand};
}

}  // namespace cross::kernels::cuda
