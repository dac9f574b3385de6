#define CROSS_GPU_ARCH sm90
#include "kernels/cuda/delta_launch.cuh"
#include "kernels/cuda/rows.h"

namespace cross::kernels::cuda {

GpuKernel delta4_sm90() {
  return {Format::delta4,    "sm90", 16, sm90::delta_refuses, sm90::delta_workspace, sm90::delta_launch,
          sm90::delta_expand};
}
GpuKernel delta8_sm90() {
  return {Format::delta8,    "sm90", 16, sm90::delta_refuses, sm90::delta_workspace, sm90::delta_launch,
          sm90::delta_expand};
}

}  // namespace cross::kernels::cuda
