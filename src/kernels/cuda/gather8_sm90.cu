#define CROSS_GPU_ARCH sm90
#include "kernels/cuda/gather8_launch.cuh"
#include "kernels/cuda/rows.h"

namespace cross::kernels::cuda {

GpuKernel gather8_sm90() {
  return {
      Format::gather8,     "sm90", 64, sm90::gather8_refuses, sm90::gather8_workspace, sm90::gather8_launch,
      sm90::gather8_expand};
}

}  // namespace cross::kernels::cuda
