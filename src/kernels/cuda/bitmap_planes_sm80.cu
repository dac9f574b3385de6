#define CROSS_GPU_ARCH sm80
#define CROSS_GPU_WARP_GROUPS false
#include "kernels/cuda/bitmap_planes_launch.cuh"
#include "kernels/cuda/rows.h"

namespace cross::kernels::cuda {

GpuKernel bitmap_planes_sm80() {
  return {Format::bitmap_planes,
          "sm80",
          64,
          sm80::bitmap_planes_refuses,
          sm80::bitmap_planes_workspace,
          sm80::bitmap_planes_launch,
          sm80::bitmap_planes_expand};
}

}  // namespace cross::kernels::cuda
