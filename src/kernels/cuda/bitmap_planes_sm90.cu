#define CROSS_GPU_ARCH sm90
#define CROSS_GPU_WARP_GROUPS true
#include "kernels/cuda/bitmap_planes_launch.cuh"
#include "kernels/cuda/rows.h"

namespace cross::kernels::cuda {

GpuKernel bitmap_planes_sm90() {
  return {Format::bitmap_planes,
          "sm90",
          64,
          sm90::bitmap_planes_refuses,
          sm90::bitmap_planes_workspace,
          sm90::bitmap_planes_launch,
          sm90::bitmap_planes_expand,
          bitmap_planes_prefill()};
}

}  // namespace cross::kernels::cuda
