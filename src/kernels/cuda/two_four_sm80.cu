#define CROSS_GPU_ARCH sm80
#define CROSS_GPU_CLUSTERS 0
#include "kernels/cuda/rows.h"
#include "kernels/cuda/two_four_launch.cuh"

namespace cross::kernels::cuda {

GpuKernel two_four_sm80() {
  return {Format::two_four,
          "sm80",
          64,
          sm80::two_four_refuses,
          sm80::two_four_workspace,
          sm80::two_four_launch,
          sm80::two_four_expand};
}

}  // namespace cross::kernels::cuda
