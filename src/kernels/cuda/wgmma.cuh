// Warp-group products of Hopper: A in registers, B in shared memory, sums in registers.
#pragma once

#include "kernels/cuda/ptx.cuh"

#if __CUDA_ARCH__ >= 900 || !defined(__CUDA_ARCH__)
namespace cross::kernels::cuda {

/// B[k, n] at `address` (a multiple of 1024, or 32 bytes further on for every 16 columns) as 128 bytes a
/// token with the 128-byte swizzle: eight tokens every 1024 bytes.
__device__ __forceinline__ std::uint64_t swizzled_descriptor(std::uint32_t address) {
  constexpr std::uint64_t swizzle = std::uint64_t{1} << 62, eight_tokens = std::uint64_t{1024 >> 4} << 32;
  return swizzle | eight_tokens | std::uint64_t{1} << 16 | (address & 0x3ffff) >> 4;
}

/// Writes to shared memory become visible to wgmma (before a barrier).
__device__ __forceinline__ void fence_async_proxy() {
  asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
}
/// Registers written before are operands from here on.
__device__ __forceinline__ void wgmma_fence() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
__device__ __forceinline__ void wgmma_commit() {
  asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
}
/// Waits until at most `pending` groups are unfinished.
template <int pending>
__device__ __forceinline__ void wgmma_wait() {
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(pending) : "memory");
}
/// Values that an unfinished product still uses stay in their registers up to here.
template <class R, int n>
__device__ __forceinline__ void hold_registers(R (&r)[n]) {
#pragma unroll
  for (int i = 0; i < n; ++i)
    if constexpr (__is_same(R, float))
      asm volatile("" : "+f"(r[i])::"memory");
    else
      asm volatile("" : "+r"(r[i])::"memory");
}

// One instruction per shape and dtype: the sums are operands, each named.
#define CROSS_WGMMA(tokens, type, sums, operands, ...)                                                       \
  asm volatile("wgmma.mma_async.sync.aligned.m64n" tokens "k16.f32." type "." type " {" sums "}, {" operands \
               ", 1, 1, 1, 0;"                                                                               \
               : __VA_ARGS__                                                                                 \
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b))

/// d += A·B, 64 rows by 8 · eights tokens, K = 16; the warp's 16 rows as mma m16n8k16 has them.
template <class T, int eights>
__device__ __forceinline__ void wgmma(float (&d)[eights][4], const std::uint32_t (&a)[4], std::uint64_t b) {
  if constexpr (eights == 1) {
    if constexpr (__is_same(T, __nv_bfloat16))
      CROSS_WGMMA("8", "bf16", "%0, %1, %2, %3", "%4, %5, %6, %7}, %8", "+f"(d[0][0]), "+f"(d[0][1]),
                  "+f"(d[0][2]), "+f"(d[0][3]));
    else
      CROSS_WGMMA("8", "f16", "%0, %1, %2, %3", "%4, %5, %6, %7}, %8", "+f"(d[0][0]), "+f"(d[0][1]),
                  "+f"(d[0][2]), "+f"(d[0][3]));
  } else if constexpr (eights == 2) {
    if constexpr (__is_same(T, __nv_bfloat16))
      CROSS_WGMMA("16", "bf16", "%0, %1, %2, %3, %4, %5, %6, %7", "%8, %9, %10, %11}, %12", "+f"(d[0][0]),
                  "+f"(d[0][1]), "+f"(d[0][2]), "+f"(d[0][3]), "+f"(d[1][0]), "+f"(d[1][1]), "+f"(d[1][2]),
                  "+f"(d[1][3]));
    else
      CROSS_WGMMA("16", "f16", "%0, %1, %2, %3, %4, %5, %6, %7", "%8, %9, %10, %11}, %12", "+f"(d[0][0]),
                  "+f"(d[0][1]), "+f"(d[0][2]), "+f"(d[0][3]), "+f"(d[1][0]), "+f"(d[1][1]), "+f"(d[1][2]),
                  "+f"(d[1][3]));
  } else if constexpr (eights == 4) {
    if constexpr (__is_same(T, __nv_bfloat16))
      CROSS_WGMMA("32", "bf16", "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15",
                  "%16, %17, %18, %19}, %20", "+f"(d[0][0]), "+f"(d[0][1]), "+f"(d[0][2]), "+f"(d[0][3]),
                  "+f"(d[1][0]), "+f"(d[1][1]), "+f"(d[1][2]), "+f"(d[1][3]), "+f"(d[2][0]), "+f"(d[2][1]),
                  "+f"(d[2][2]), "+f"(d[2][3]), "+f"(d[3][0]), "+f"(d[3][1]), "+f"(d[3][2]), "+f"(d[3][3]));
    else
      CROSS_WGMMA("32", "f16", "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15",
                  "%16, %17, %18, %19}, %20", "+f"(d[0][0]), "+f"(d[0][1]), "+f"(d[0][2]), "+f"(d[0][3]),
                  "+f"(d[1][0]), "+f"(d[1][1]), "+f"(d[1][2]), "+f"(d[1][3]), "+f"(d[2][0]), "+f"(d[2][1]),
                  "+f"(d[2][2]), "+f"(d[2][3]), "+f"(d[3][0]), "+f"(d[3][1]), "+f"(d[3][2]), "+f"(d[3][3]));
  } else if constexpr (eights == 8) {
    if constexpr (__is_same(T, __nv_bfloat16))
      CROSS_WGMMA("64", "bf16",
                  "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, %16, %17, %18, %19, "
                  "%20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31",
                  "%32, %33, %34, %35}, %36", "+f"(d[0][0]), "+f"(d[0][1]), "+f"(d[0][2]), "+f"(d[0][3]),
                  "+f"(d[1][0]), "+f"(d[1][1]), "+f"(d[1][2]), "+f"(d[1][3]), "+f"(d[2][0]), "+f"(d[2][1]),
                  "+f"(d[2][2]), "+f"(d[2][3]), "+f"(d[3][0]), "+f"(d[3][1]), "+f"(d[3][2]), "+f"(d[3][3]),
                  "+f"(d[4][0]), "+f"(d[4][1]), "+f"(d[4][2]), "+f"(d[4][3]), "+f"(d[5][0]), "+f"(d[5][1]),
                  "+f"(d[5][2]), "+f"(d[5][3]), "+f"(d[6][0]), "+f"(d[6][1]), "+f"(d[6][2]), "+f"(d[6][3]),
                  "+f"(d[7][0]), "+f"(d[7][1]), "+f"(d[7][2]), "+f"(d[7][3]));
    else
      CROSS_WGMMA("64", "f16",
                  "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, %16, %17, %18, %19, "
                  "%20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31",
                  "%32, %33, %34, %35}, %36", "+f"(d[0][0]), "+f"(d[0][1]), "+f"(d[0][2]), "+f"(d[0][3]),
                  "+f"(d[1][0]), "+f"(d[1][1]), "+f"(d[1][2]), "+f"(d[1][3]), "+f"(d[2][0]), "+f"(d[2][1]),
                  "+f"(d[2][2]), "+f"(d[2][3]), "+f"(d[3][0]), "+f"(d[3][1]), "+f"(d[3][2]), "+f"(d[3][3]),
                  "+f"(d[4][0]), "+f"(d[4][1]), "+f"(d[4][2]), "+f"(d[4][3]), "+f"(d[5][0]), "+f"(d[5][1]),
                  "+f"(d[5][2]), "+f"(d[5][3]), "+f"(d[6][0]), "+f"(d[6][1]), "+f"(d[6][2]), "+f"(d[6][3]),
                  "+f"(d[7][0]), "+f"(d[7][1]), "+f"(d[7][2]), "+f"(d[7][3]));
  }
}

#undef CROSS_WGMMA

/// d = A·B, or d += A·B where `add`: 64 rows by 128 tokens, fp16, K = 16; the warp's 16 rows as mma m16n8k16
/// has them.
__device__ __forceinline__ void wgmma_wide(float (&d)[16][4], const std::uint32_t (&a)[4], std::uint64_t b,
                                           bool add) {
  asm volatile(
      "{\n.reg .pred p;\nsetp.ne.b32 p, %69, 0;\n"
      "wgmma.mma_async.sync.aligned.m64n128k16.f32.f16.f16 {"
      "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "
      "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, "
      "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, "
      "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63"
      "}, {%64, %65, %66, %67}, %68, p, 1, 1, 0;\n}"
      : "+f"(d[0][0]), "+f"(d[0][1]), "+f"(d[0][2]), "+f"(d[0][3]), "+f"(d[1][0]), "+f"(d[1][1]),
        "+f"(d[1][2]), "+f"(d[1][3]), "+f"(d[2][0]), "+f"(d[2][1]), "+f"(d[2][2]), "+f"(d[2][3]),
        "+f"(d[3][0]), "+f"(d[3][1]), "+f"(d[3][2]), "+f"(d[3][3]), "+f"(d[4][0]), "+f"(d[4][1]),
        "+f"(d[4][2]), "+f"(d[4][3]), "+f"(d[5][0]), "+f"(d[5][1]), "+f"(d[5][2]), "+f"(d[5][3]),
        "+f"(d[6][0]), "+f"(d[6][1]), "+f"(d[6][2]), "+f"(d[6][3]), "+f"(d[7][0]), "+f"(d[7][1]),
        "+f"(d[7][2]), "+f"(d[7][3]), "+f"(d[8][0]), "+f"(d[8][1]), "+f"(d[8][2]), "+f"(d[8][3]),
        "+f"(d[9][0]), "+f"(d[9][1]), "+f"(d[9][2]), "+f"(d[9][3]), "+f"(d[10][0]), "+f"(d[10][1]),
        "+f"(d[10][2]), "+f"(d[10][3]), "+f"(d[11][0]), "+f"(d[11][1]), "+f"(d[11][2]), "+f"(d[11][3]),
        "+f"(d[12][0]), "+f"(d[12][1]), "+f"(d[12][2]), "+f"(d[12][3]), "+f"(d[13][0]), "+f"(d[13][1]),
        "+f"(d[13][2]), "+f"(d[13][3]), "+f"(d[14][0]), "+f"(d[14][1]), "+f"(d[14][2]), "+f"(d[14][3]),
        "+f"(d[15][0]), "+f"(d[15][1]), "+f"(d[15][2]), "+f"(d[15][3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(static_cast<int>(add)));
}

}  // namespace cross::kernels::cuda
#endif
