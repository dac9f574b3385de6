// Warp-group products of Hopper's sparse tensor cores: A keeps two of every four columns and lies in shared
// memory, its metadata in registers, B in shared memory as the dense instructions want it, K = 32.
#pragma once

#include "kernels/cuda/prefill/wgmma_wide.cuh"

#if __CUDA_ARCH__ >= 900 || !defined(__CUDA_ARCH__)
namespace cross::kernels::cuda {

#define CROSS_WGMMA(tokens, type, sums, operands, ...)                                          \
  asm volatile("wgmma.mma_async.sp.sync.aligned.m64n" tokens "k32.f32." type "." type " {" sums \
               "}, " operands ";"                                                               \
               : __VA_ARGS__                                                                    \
               : "l"(a), "l"(b), "r"(metadata), "n"(selector), "n"(by_columns))
#define CROSS_WGMMA_TYPES(...)               \
  if constexpr (__is_same(T, __nv_bfloat16)) \
    CROSS_WGMMA_AS("bf16", __VA_ARGS__);     \
  else                                       \
    CROSS_WGMMA_AS("f16", __VA_ARGS__)
#define CROSS_WGMMA_AS(type, tokens, sums, operands, ...) \
  CROSS_WGMMA(tokens, type, sums, operands, __VA_ARGS__)

/// Kept weights at `address` (a multiple of 512, or 32 bytes further on for a step of 32 columns) as 64 bytes
/// a row with the 64-byte swizzle: eight rows every 512 bytes.
__device__ __forceinline__ std::uint64_t kept_weights_descriptor(std::uint32_t address) {
  constexpr std::uint64_t swizzle = std::uint64_t{2} << 62, eight_rows = std::uint64_t{512 >> 4} << 32;
  return swizzle | eight_rows | std::uint64_t{1} << 16 | (address & 0x3ffff) >> 4;
}

/// X at `address` column by column: the tokens of 64 columns, 128 bytes of 64 tokens each with the 128-byte
/// swizzle, then the same of the next 64 tokens.
__device__ __forceinline__ std::uint64_t columns_descriptor(std::uint32_t address) {
  constexpr std::uint64_t swizzle = std::uint64_t{1} << 62, eight_columns = std::uint64_t{1024 >> 4} << 32,
                          next_tokens = std::uint64_t{64 * 128 >> 4} << 16;
  return swizzle | eight_columns | next_tokens | (address & 0x3ffff) >> 4;
}

/// d += A·B, 64 rows by 8 · eights tokens, K = 32; A as kept_weights_descriptor has it, B as
/// swizzled_descriptor or, by_columns, columns_descriptor. Metadata of the warp's 16 rows as mma.sp m16n8k32
/// has it: in lanes 4 g and 4 g + 1 (selector 0) or 4 g + 2 and 4 g + 3 (selector 1).
template <class T, int selector, int by_columns = 0, int eights>
__device__ __forceinline__ void wgmma_sparse(float (&d)[eights][4], std::uint64_t a, std::uint32_t metadata,
                                             std::uint64_t b) {
  static_assert(eights == 8 || eights == 16 || eights == 32);
  if constexpr (eights == 8) {
    CROSS_WGMMA_TYPES("64", CROSS_SUMS_0, "%32, %33, %34, %35, 1, 1, 1, 0, %36", CROSS_QUADS(0));
  } else if constexpr (eights == 16) {
    CROSS_WGMMA_TYPES("128", CROSS_SUMS_0 ", " CROSS_SUMS_1, "%64, %65, %66, %67, 1, 1, 1, 0, %68",
                      CROSS_QUADS(0), CROSS_QUADS(8));
  } else {
    CROSS_WGMMA_TYPES("256", CROSS_SUMS_0 ", " CROSS_SUMS_1 ", " CROSS_SUMS_2 ", " CROSS_SUMS_3,
                      "%128, %129, %130, %131, 1, 1, 1, 0, %132", CROSS_QUADS(0), CROSS_QUADS(8),
                      CROSS_QUADS(16), CROSS_QUADS(24));
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
