// The warp-group product of Hopper for 256 tokens, A and B in shared memory, sums in registers.
#pragma once

#include "kernels/cuda/prefill/wgmma_wide.cuh"

#if __CUDA_ARCH__ >= 900 || !defined(__CUDA_ARCH__)
namespace cross::kernels::cuda {

#define CROSS_WGMMA(type)                                                                            \
  asm volatile("wgmma.mma_async.sync.aligned.m64n256k16.f32." type "." type " {" CROSS_SUMS_0        \
               ", " CROSS_SUMS_1 ", " CROSS_SUMS_2 ", " CROSS_SUMS_3 "}, %128, %129, 1, 1, 1, 0, 0;" \
               : CROSS_QUADS(0), CROSS_QUADS(8), CROSS_QUADS(16), CROSS_QUADS(24)                    \
               : "l"(a), "l"(b))

/// d += A·B, 64 rows by 256 tokens, K = 16; both as swizzled_descriptor has them.
template <class T>
__device__ __forceinline__ void wgmma_shared(float (&d)[32][4], std::uint64_t a, std::uint64_t b) {
  if constexpr (__is_same(T, __nv_bfloat16))
    CROSS_WGMMA("bf16");
  else
    CROSS_WGMMA("f16");
}

#undef CROSS_WGMMA

}  // namespace cross::kernels::cuda
#endif
