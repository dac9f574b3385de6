// The machine instructions that the kernels need and CUDA C++ has no name for. PTX ISA 8.5 and later.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <cstdint>

namespace cross::kernels::cuda {

__device__ __forceinline__ std::uint32_t shared_address(const void* pointer) {
  return static_cast<std::uint32_t>(__cvta_generic_to_shared(pointer));
}

// Weights are read once: they should leave L2 before activations do.
__device__ __forceinline__ std::uint64_t evict_first_policy() {
  std::uint64_t policy;
  asm volatile("createpolicy.fractional.L2::evict_first.b64 %0, 1.0;" : "=l"(policy));
  return policy;
}

/// 16 bytes that nobody reads again: past L1, straight to registers.
__device__ __forceinline__ uint4 load_once16(const void* global, std::uint64_t policy) {
  uint4 v;
  asm volatile("ld.global.nc.L1::no_allocate.L2::cache_hint.v4.b32 {%0, %1, %2, %3}, [%4], %5;"
               : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
               : "l"(global), "l"(policy));
  return v;
}

__device__ __forceinline__ void copy16_async(std::uint32_t shared, const void* global, std::uint64_t policy) {
  asm volatile("cp.async.cg.shared.global.L2::cache_hint [%0], [%1], 16, %2;" ::"r"(shared), "l"(global),
               "l"(policy)
               : "memory");
}
__device__ __forceinline__ void copy16_async(std::uint32_t shared, const void* global) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(shared), "l"(global) : "memory");
}
/// Arrives at a barrier, which counts the arrival among its own, once this thread's copies so far have come.
__device__ __forceinline__ void copies_arrive(std::uint32_t barrier) {
  asm volatile("cp.async.mbarrier.arrive.noinc.shared.b64 [%0];" ::"r"(barrier) : "memory");
}
__device__ __forceinline__ void commit_copies() { asm volatile("cp.async.commit_group;" ::: "memory"); }
/// Waits until at most `pending` of this thread's groups are unfinished.
template <int pending>
__device__ __forceinline__ void wait_copies() {
  asm volatile("cp.async.wait_group %0;" ::"n"(pending) : "memory");
}

__device__ __forceinline__ std::uint32_t load_shared(std::uint32_t address) {
  std::uint32_t value;
  asm volatile("ld.shared.b32 %0, [%1];" : "=r"(value) : "r"(address));
  return value;
}
__device__ __forceinline__ uint2 load_shared8(std::uint32_t address) {
  uint2 v;
  asm volatile("ld.shared.v2.b32 {%0, %1}, [%2];" : "=r"(v.x), "=r"(v.y) : "r"(address));
  return v;
}
__device__ __forceinline__ std::uint32_t load_shared_u16(std::uint32_t address) {
  std::uint16_t value;
  asm volatile("ld.shared.u16 %0, [%1];" : "=h"(value) : "r"(address));
  return value;
}
/// Loads and stores that see each other at once: nothing may be kept from a load before.
__device__ __forceinline__ uint2 load_shared_now8(std::uint32_t address) {
  uint2 v;
  asm volatile("ld.volatile.shared.v2.b32 {%0, %1}, [%2];" : "=r"(v.x), "=r"(v.y) : "r"(address) : "memory");
  return v;
}
__device__ __forceinline__ void store_shared_now(std::uint32_t address, std::uint32_t value) {
  asm volatile("st.volatile.shared.b32 [%0], %1;" ::"r"(address), "r"(value) : "memory");
}
__device__ __forceinline__ void store_shared4(std::uint32_t address, std::uint32_t value) {
  asm volatile("st.shared.b32 [%0], %1;" ::"r"(address), "r"(value) : "memory");
}
__device__ __forceinline__ float2 load_shared_floats(std::uint32_t address) {
  float2 v;
  asm volatile("ld.shared.v2.f32 {%0, %1}, [%2];" : "=f"(v.x), "=f"(v.y) : "r"(address) : "memory");
  return v;
}
__device__ __forceinline__ void store_shared8(std::uint32_t address, float2 v) {
  asm volatile("st.shared.v2.f32 [%0], {%1, %2};" ::"r"(address), "f"(v.x), "f"(v.y) : "memory");
}
__device__ __forceinline__ void store_shared8(std::uint32_t address, uint2 v) {
  asm volatile("st.shared.v2.b32 [%0], {%1, %2};" ::"r"(address), "r"(v.x), "r"(v.y) : "memory");
}
__device__ __forceinline__ void store_shared16(std::uint32_t address, const uint4& v) {
  asm volatile("st.shared.v4.b32 [%0], {%1, %2, %3, %4};" ::"r"(address), "r"(v.x), "r"(v.y), "r"(v.z),
               "r"(v.w)
               : "memory");
}

__device__ __forceinline__ uint4 load_shared16(std::uint32_t address) {
  uint4 v;
  asm volatile("ld.shared.v4.b32 {%0, %1, %2, %3}, [%4];"
               : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
               : "r"(address));
  return v;
}
template <int offset>
__device__ __forceinline__ float load_shared_float(std::uint32_t address) {
  float value;
  asm volatile("ld.shared.f32 %0, [%1 + %2];" : "=f"(value) : "r"(address), "n"(offset));
  return value;
}

// Weights that go straight to registers: read once, past the L1.
__device__ __forceinline__ std::uint32_t load_stream4(const std::byte* from) {
  std::uint32_t v;
  asm volatile("ld.global.nc.L1::no_allocate.b32 %0, [%1];" : "=r"(v) : "l"(from));
  return v;
}
__device__ __forceinline__ void load_stream8(std::uint32_t (&v)[2], const std::byte* from) {
  asm volatile("ld.global.nc.L1::no_allocate.v2.b32 {%0, %1}, [%2];" : "=r"(v[0]), "=r"(v[1]) : "l"(from));
}
__device__ __forceinline__ uint4 load_stream16(const std::byte* from) {
  uint4 v;
  asm volatile("ld.global.nc.L1::no_allocate.v4.b32 {%0, %1, %2, %3}, [%4];"
               : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
               : "l"(from));
  return v;
}
/// Four 8x8 matrices of 16-bit elements, transposed; lane l names row l mod 8 of matrix l / 8, `offset` bytes
/// further.
template <int offset>
__device__ __forceinline__ void load_matrices_transposed_at(std::uint32_t (&b)[4],
                                                            std::uint32_t row_address) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4 + %5];"
               : "=r"(b[0]), "=r"(b[1]), "=r"(b[2]), "=r"(b[3])
               : "r"(row_address), "n"(offset));
}
/// Four 8x8 matrices of 16-bit elements, transposed; lane l names row l mod 8 of matrix l / 8.
__device__ __forceinline__ void load_matrices_transposed(std::uint32_t (&b)[4], std::uint32_t row_address) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(b[0]), "=r"(b[1]), "=r"(b[2]), "=r"(b[3])
               : "r"(row_address));
}

/// Four 8x8 matrices of 16-bit elements as they lie; lane l names row l mod 8 of matrix l / 8.
__device__ __forceinline__ void load_matrices(std::uint32_t (&b)[4], std::uint32_t row_address) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(b[0]), "=r"(b[1]), "=r"(b[2]), "=r"(b[3])
               : "r"(row_address));
}

/// Bytes of {a, b} picked by the nibbles of `selector`.
__device__ __forceinline__ std::uint32_t pick_bytes(std::uint32_t a, std::uint32_t b,
                                                    std::uint32_t selector) {
  std::uint32_t d;
  asm("prmt.b32 %0, %1, %2, %3;" : "=r"(d) : "r"(a), "r"(b), "r"(selector));
  return d;
}

/// base + step · (bytes of `word` selected by `bytes`, signed): one instruction for unpack, scale and add.
__device__ __forceinline__ std::uint32_t add_bytes(std::uint32_t word, int scaled_bytes, std::uint32_t base) {
  return static_cast<std::uint32_t>(__dp4a(static_cast<int>(word), scaled_bytes, static_cast<int>(base)));
}

/// d += A·B, m16n8k32 with 2:4 sparse A, fp32 accumulation. `selector` says which lane pairs hold the
/// metadata.
template <class T, int selector>
__device__ __forceinline__ void mma_sparse(float (&d)[4], std::uint32_t a0, std::uint32_t a1,
                                           std::uint32_t a2, std::uint32_t a3, const std::uint32_t (&b)[4],
                                           std::uint32_t metadata) {
  if constexpr (sizeof(T) == 2 && __is_same(T, __nv_bfloat16)) {
    asm volatile(
        "mma.sp::ordered_metadata.sync.aligned.m16n8k32.row.col.f32.bf16.bf16.f32 "
        "{%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9,%10,%11}, {%0,%1,%2,%3}, %12, %13;"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b[0]), "r"(b[1]), "r"(b[2]), "r"(b[3]), "r"(metadata),
          "n"(selector));
  } else {
    asm volatile(
        "mma.sp::ordered_metadata.sync.aligned.m16n8k32.row.col.f32.f16.f16.f32 "
        "{%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9,%10,%11}, {%0,%1,%2,%3}, %12, %13;"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b[0]), "r"(b[1]), "r"(b[2]), "r"(b[3]), "r"(metadata),
          "n"(selector));
  }
}

/// d += A·B, m16n8k16, fp32 accumulation.
template <class T>
__device__ __forceinline__ void mma_dense(float (&d)[4], const std::uint32_t (&a)[4], std::uint32_t b0,
                                          std::uint32_t b1) {
  if constexpr (__is_same(T, __nv_bfloat16)) {
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
        "{%0,%1,%2,%3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
  } else {
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
        "{%0,%1,%2,%3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
  }
}

/// Adds one and returns what was there; orders what this thread saw and wrote before it, and what it reads
/// after it.
__device__ __forceinline__ std::uint32_t arrive(std::uint32_t* counter) {
  std::uint32_t before;
  asm volatile("atom.add.acq_rel.gpu.global.u32 %0, [%1], 1;" : "=r"(before) : "l"(counter) : "memory");
  return before;
}

/// Lets the next kernel of the stream start its own prologue (sm90; nothing elsewhere).
__device__ __forceinline__ void let_successor_start() {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}
/// Waits until the predecessor's writes are visible; returns at once where the launch was an ordinary one.
__device__ __forceinline__ void wait_for_predecessor() {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}

__device__ __forceinline__ float to_float(__nv_bfloat16 value) { return __bfloat162float(value); }
__device__ __forceinline__ float to_float(__half value) { return __half2float(value); }
__device__ __forceinline__ float to_float(float value) { return value; }
template <class T>
__device__ __forceinline__ T from_float(float value) {
  if constexpr (__is_same(T, float))
    return value;
  else if constexpr (__is_same(T, __nv_bfloat16))
    return __float2bfloat16_rn(value);
  else
    return __float2half_rn(value);
}
template <class T>
__device__ __forceinline__ T from_bits(std::uint16_t bits) {
  if constexpr (__is_same(T, __nv_bfloat16))
    return __ushort_as_bfloat16(bits);
  else
    return __ushort_as_half(bits);
}

/// The low (0) or high (1) half of a pair as fp32.
template <class T>
__device__ __forceinline__ float widen(std::uint32_t pair, int which) {
  if constexpr (__is_same(T, __nv_bfloat16))  // one shift or one mask
    return __uint_as_float(which == 0 ? pair << 16 : pair & 0xffff0000u);
  else
    return to_float(from_bits<T>(static_cast<std::uint16_t>(which == 0 ? pair : pair >> 16)));
}

/// Whether one of the two 16-bit values in `pair` is Inf or NaN.
template <class T>
__device__ __forceinline__ bool any_non_finite(std::uint32_t pair) {
  constexpr std::uint32_t exponent = __is_same(T, __nv_bfloat16) ? 0x7f80u : 0x7c00u;
  return (pair & exponent) == exponent || (pair >> 16 & exponent) == exponent;
}

/// Bits 15 and 31: whether the lower and the upper value of `pair` are Inf or NaN. Other bits have no
/// meaning.
template <class T>
__device__ __forceinline__ std::uint32_t non_finite_signs(std::uint32_t pair) {
  // An exponent of all ones carries into the sign.
  if constexpr (__is_same(T, __nv_bfloat16))
    return (pair & 0x7f807f80u) + 0x00800080u;
  else
    return (pair & 0x7c007c00u) + 0x04000400u;
}

}  // namespace cross::kernels::cuda
