#define CROSS_GPU_ARCH sm90
#define CROSS_GPU_CLUSTERS 1
#include "kernels/cuda/rows.h"
#include "kernels/cuda/two_four_launch.cuh"

namespace cross::kernels::cuda {

GpuKernel two_four_sm90() {
  return {Format::two_four,
          "sm90",
          64,
          sm90::two_four_refuses,
          sm90::two_four_workspace,
          sm90::two_four_launch,
          sm90::two_four_expand,
          two_four_prefill()};
}

}  // namespace cross::kernels::cuda
