// Warp-group products of Hopper's sparse tensor cores: A keeps two of every four columns and lies in
// registers with its metadata, B in shared memory as the dense instructions want it, K = 32.
#pragma once

#include "kernels/cuda/prefill/wgmma_wide.cuh"

#if __CUDA_ARCH__ >= 900 || !defined(__CUDA_ARCH__)
namespace cross::kernels::cuda {

#define CROSS_WGMMA(tokens, type, sums, operands, ...)                                          \
  asm volatile("wgmma.mma_async.sp.sync.aligned.m64n" tokens "k32.f32." type "." type " {" sums \
               "}, {" operands ";"                                                              \
               : __VA_ARGS__                                                                    \
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(metadata), "n"(selector), "n"(0))
#define CROSS_WGMMA_TYPES(...)               \
  if constexpr (__is_same(T, __nv_bfloat16)) \
    CROSS_WGMMA_AS("bf16", __VA_ARGS__);     \
  else                                       \
    CROSS_WGMMA_AS("f16", __VA_ARGS__)
#define CROSS_WGMMA_AS(type, tokens, sums, operands, ...) \
  CROSS_WGMMA(tokens, type, sums, operands, __VA_ARGS__)

/// d += A·B, 64 rows by 8 · eights tokens, K = 32. The warp's 16 rows of A, and their metadata, as mma.sp
/// m16n8k32 has them: metadata in lanes 4 g and 4 g + 1 (selector 0) or 4 g + 2 and 4 g + 3 (selector 1).
template <class T, int selector, int eights>
__device__ __forceinline__ void wgmma_sparse(float (&d)[eights][4], const std::uint32_t (&a)[4],
                                             std::uint32_t metadata, std::uint64_t b) {
  static_assert(eights == 8 || eights == 16 || eights == 24 || eights == 32);
  if constexpr (eights == 8) {
    CROSS_WGMMA_TYPES("64", CROSS_SUMS_0, "%32, %33, %34, %35}, %36, %37, %38, 1, 1, 1, %39", CROSS_QUADS(0));
  } else if constexpr (eights == 16) {
    CROSS_WGMMA_TYPES("128", CROSS_SUMS_0 ", " CROSS_SUMS_1,
                      "%64, %65, %66, %67}, %68, %69, %70, 1, 1, 1, %71", CROSS_QUADS(0), CROSS_QUADS(8));
  } else if constexpr (eights == 24) {
    CROSS_WGMMA_TYPES("192", CROSS_SUMS_0 ", " CROSS_SUMS_1 ", " CROSS_SUMS_2,
                      "%96, %97, %98, %99}, %100, %101, %102, 1, 1, 1, %103", CROSS_QUADS(0), CROSS_QUADS(8),
                      CROSS_QUADS(16));
  } else if constexpr (eights == 32) {
    CROSS_WGMMA_TYPES("256", CROSS_SUMS_0 ", " CROSS_SUMS_1 ", " CROSS_SUMS_2 ", " CROSS_SUMS_3,
                      "%128, %129, %130, %131}, %132, %133, %134, 1, 1, 1, %135", CROSS_QUADS(0),
                      CROSS_QUADS(8), CROSS_QUADS(16), CROSS_QUADS(24));
  }
}

/// The metadata of a product that has ended. The assembler keeps registers of A as long as a product needs
/// them, but not this one: a use behind the wait does. Metadata of four columns 3 and 3 does not exist.
__device__ __forceinline__ void hold_metadata(std::uint32_t metadata) {
  asm volatile("{\n.reg .pred never;\nsetp.eq.u32 never, %0, 0xffffffff;\n@never trap;\n}" ::"r"(metadata)
               : "memory");
}

#undef CROSS_WGMMA
#undef CROSS_WGMMA_AS
#undef CROSS_WGMMA_TYPES

}  // namespace cross::kernels::cuda
#endif
