// Warp-group products of Hopper for wide token tiles: A in registers, B in shared memory, sums in registers.
// The sums are operands of the instruction, each named; the macros name them in fours of eight tokens, 64
// tokens at a time, for the dense and the 2:4 instructions alike.
#pragma once

#include "kernels/cuda/wgmma.cuh"

#if __CUDA_ARCH__ >= 900 || !defined(__CUDA_ARCH__)
namespace cross::kernels::cuda {

#define CROSS_SUMS_0                                                                           \
  "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, %16, %17, %18, %19, " \
  "%20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31"
#define CROSS_SUMS_1                                                                           \
  "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, %48, %49, " \
  "%50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63"
#define CROSS_SUMS_2                                                                           \
  "%64, %65, %66, %67, %68, %69, %70, %71, %72, %73, %74, %75, %76, %77, %78, %79, %80, %81, " \
  "%82, %83, %84, %85, %86, %87, %88, %89, %90, %91, %92, %93, %94, %95"
#define CROSS_SUMS_3                                                                           \
  "%96, %97, %98, %99, %100, %101, %102, %103, %104, %105, %106, %107, %108, %109, %110, "     \
  "%111, %112, %113, %114, %115, %116, %117, %118, %119, %120, %121, %122, %123, %124, %125, " \
  "%126, %127"
#define CROSS_QUAD(e) "+f"(d[e][0]), "+f"(d[e][1]), "+f"(d[e][2]), "+f"(d[e][3])
#define CROSS_QUADS(e)                                                                       \
  CROSS_QUAD(e), CROSS_QUAD(e + 1), CROSS_QUAD(e + 2), CROSS_QUAD(e + 3), CROSS_QUAD(e + 4), \
      CROSS_QUAD(e + 5), CROSS_QUAD(e + 6), CROSS_QUAD(e + 7)

#define CROSS_WGMMA(tokens, type, sums, operands, ...)                                                       \
  asm volatile("wgmma.mma_async.sync.aligned.m64n" tokens "k16.f32." type "." type " {" sums "}, {" operands \
               ", 1, 1, 1, 0;"                                                                               \
               : __VA_ARGS__                                                                                 \
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b))
#define CROSS_WGMMA_TYPES(...)               \
  if constexpr (__is_same(T, __nv_bfloat16)) \
    CROSS_WGMMA_AS("bf16", __VA_ARGS__);     \
  else                                       \
    CROSS_WGMMA_AS("f16", __VA_ARGS__)
#define CROSS_WGMMA_AS(type, tokens, sums, operands, ...) \
  CROSS_WGMMA(tokens, type, sums, operands, __VA_ARGS__)

/// d += A·B, 64 rows by 8 · eights tokens, K = 16; the warp's 16 rows as mma m16n8k16 has them.
template <class T, int eights>
__device__ __forceinline__ void wgmma_wide(float (&d)[eights][4], const std::uint32_t (&a)[4],
                                           std::uint64_t b) {
  static_assert(eights == 8 || eights == 16 || eights == 24 || eights == 32);
  if constexpr (eights == 8) {
    CROSS_WGMMA_TYPES("64", CROSS_SUMS_0, "%32, %33, %34, %35}, %36", CROSS_QUADS(0));
  } else if constexpr (eights == 16) {
    CROSS_WGMMA_TYPES("128", CROSS_SUMS_0 ", " CROSS_SUMS_1, "%64, %65, %66, %67}, %68", CROSS_QUADS(0),
                      CROSS_QUADS(8));
  } else if constexpr (eights == 24) {
    CROSS_WGMMA_TYPES("192", CROSS_SUMS_0 ", " CROSS_SUMS_1 ", " CROSS_SUMS_2, "%96, %97, %98, %99}, %100",
                      CROSS_QUADS(0), CROSS_QUADS(8), CROSS_QUADS(16));
  } else if constexpr (eights == 32) {
    CROSS_WGMMA_TYPES("256", CROSS_SUMS_0 ", " CROSS_SUMS_1 ", " CROSS_SUMS_2 ", " CROSS_SUMS_3,
                      "%128, %129, %130, %131}, %132", CROSS_QUADS(0), CROSS_QUADS(8), CROSS_QUADS(16),
                      CROSS_QUADS(24));
  }
}

#undef CROSS_WGMMA
#undef CROSS_WGMMA_AS
#undef CROSS_WGMMA_TYPES

}  // namespace cross::kernels::cuda
#endif
