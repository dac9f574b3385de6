// Copies from global to shared memory that announce themselves on an mbarrier: one bulk copy on Hopper, 16
// bytes a lane elsewhere. The same calls for both, so that kernels have one form.
#pragma once

#include "kernels/cuda/ptx.cuh"

namespace cross::kernels::cuda {

/// Arrivals that end a phase of a copy barrier: one with bulk copies, else every lane of the copying warp.
__device__ __forceinline__ constexpr int copy_arrivals() {
#if __CUDA_ARCH__ >= 900
  return 1;
#else
  return 32;
#endif
}

__device__ __forceinline__ void barrier_init(std::uint32_t barrier, int arrivals) {
  asm volatile("mbarrier.init.shared.b64 [%0], %1;" ::"r"(barrier), "r"(arrivals) : "memory");
}
/// Makes initialised barriers known to the copy engine.
__device__ __forceinline__ void fence_barrier_init() {
#if __CUDA_ARCH__ >= 900
  asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
#endif
}

__device__ __forceinline__ bool barrier_done(std::uint32_t barrier, std::uint32_t parity) {
  std::uint32_t done;
#if __CUDA_ARCH__ >= 900
  asm volatile("{\n.reg .pred p;\nmbarrier.try_wait.parity.shared.b64 p, [%1], %2;\nselp.u32 %0, 1, 0, p;\n}"
               : "=r"(done)
               : "r"(barrier), "r"(parity)
               : "memory");
#else
  asm volatile("{\n.reg .pred p;\nmbarrier.test_wait.parity.shared.b64 p, [%1], %2;\nselp.u32 %0, 1, 0, p;\n}"
               : "=r"(done)
               : "r"(barrier), "r"(parity)
               : "memory");
#endif
  return done != 0;
}
/// Waits until the phase of that parity is complete: 0 the first, 1 the second, and so on.
__device__ __forceinline__ void barrier_wait(std::uint32_t barrier, std::uint32_t parity) {
  while (!barrier_done(barrier, parity)) {
  }
}

/// True in one lane of a whole warp. Of a branch on it the compiler knows that one lane takes it; elsewhere
/// every copy becomes a loop over the lanes that might be there.
__device__ __forceinline__ bool elect_one() {
#if __CUDA_ARCH__ >= 900
  std::uint32_t elected;
  asm volatile("{\n.reg .pred p;\nelect.sync _|p, 0xffffffff;\nselp.u32 %0, 1, 0, p;\n}" : "=r"(elected));
  return elected != 0;
#else
  return (threadIdx.x & 31) == 0;
#endif
}

/// Announces `bytes` of the warp's coming copies on `barrier`, before copy_to_shared. All lanes call it.
__device__ __forceinline__ void expect_copies(std::uint32_t barrier, std::uint32_t bytes) {
#if __CUDA_ARCH__ >= 900
  if (elect_one())
    asm volatile("mbarrier.arrive.expect_tx.shared.b64 _, [%0], %1;" ::"r"(barrier), "r"(bytes) : "memory");
#endif
}
/// Copies `bytes` (a multiple of 16, from and to multiples of 16). All lanes of a warp call it.
__device__ __forceinline__ void copy_to_shared(std::uint32_t shared, const std::byte* global,
                                               std::uint32_t bytes, std::uint32_t barrier,
                                               std::uint64_t policy) {
#if __CUDA_ARCH__ >= 900
  if (elect_one())
    asm volatile(
        "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes.L2::cache_hint [%0], [%1], %2, "
        "[%3], %4;" ::"r"(shared),
        "l"(global), "r"(bytes), "r"(barrier), "l"(policy)
        : "memory");
#else
  for (std::uint32_t at = (threadIdx.x & 31) * 16; at < bytes; at += 512)
    copy16_async(shared + at, global + at, policy);
#endif
}
/// After the last copy_to_shared of a phase.
__device__ __forceinline__ void end_copies(std::uint32_t barrier) {
#if __CUDA_ARCH__ < 900
  asm volatile("cp.async.mbarrier.arrive.noinc.shared.b64 [%0];" ::"r"(barrier) : "memory");
#endif
}

}  // namespace cross::kernels::cuda
