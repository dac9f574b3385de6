#define CROSS_GPU_ARCH sm90
#define CROSS_GPU_WARP_GROUPS true
#include "kernels/cuda/bitmap_planes_launch.cuh"
#include "kernels/cuda/prefill/expand_bitmap_planes.h"
#include "kernels/cuda/rows.h"

namespace cross::kernels::cuda {
namespace {

int expand(const PackedMatrix& matrix, void* out, void* stream) {
  return expands_by_copies(sm90::bitmap_planes_header(matrix).cols)
             ? enqueue_expanded_bitmap_planes(matrix, out, stream)
             : sm90::bitmap_planes_expand(matrix, out, stream);
}

}  // namespace

GpuKernel bitmap_planes_sm90() {
  return {Format::bitmap_planes,
          "sm90",
          64,
          sm90::bitmap_planes_refuses,
          sm90::bitmap_planes_workspace,
          sm90::bitmap_planes_launch,
          expand,
          bitmap_planes_prefill()};
}

}  // namespace cross::kernels::cuda
