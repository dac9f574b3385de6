// Thread block clusters (sm90): CTAs that run at the same time and reach each other's shared memory.
// Elsewhere these compile to nothing, and no kernel asks for a cluster.
#pragma once

#include <cstdint>

namespace cross::kernels::cuda {

/// Every CTA of the cluster arrives, then waits: what was written before the one is visible after the other.
__device__ __forceinline__ void cluster_arrive() {
#if __CUDA_ARCH__ >= 900
  asm volatile("barrier.cluster.arrive.release.aligned;" ::: "memory");
#endif
}
__device__ __forceinline__ void cluster_wait() {
#if __CUDA_ARCH__ >= 900
  asm volatile("barrier.cluster.wait.acquire.aligned;" ::: "memory");
#endif
}
/// The same without ordering memory, which would wait for every load on its way: says that this CTA runs and,
/// after `make_counter`, has its counter.
__device__ __forceinline__ void cluster_arrive_relaxed() {
#if __CUDA_ARCH__ >= 900
  asm volatile("barrier.cluster.arrive.relaxed.aligned;" ::: "memory");
#endif
}

/// A counter (mbarrier) in shared memory that completes once `arrivals` warps have announced their bytes and
/// all of these have come. One thread makes it, before the cluster's first barrier.
__device__ __forceinline__ void make_counter(std::uint32_t counter, int arrivals) {
#if __CUDA_ARCH__ >= 900
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;\nfence.mbarrier_init.release.cluster;" ::"r"(counter),
               "r"(arrivals)
               : "memory");
#endif
}
/// Announces `bytes` at a counter, which may be another CTA's. Orders no memory: the bytes count themselves.
__device__ __forceinline__ void announce(std::uint32_t counter, int bytes) {
#if __CUDA_ARCH__ >= 900
  asm volatile("mbarrier.arrive.expect_tx.relaxed.cluster.shared::cluster.b64 _, [%0], %1;" ::"r"(counter),
               "r"(bytes)
               : "memory");
#endif
}
/// Stores 8 or 16 bytes into any CTA's shared memory and counts them there once they have come.
__device__ __forceinline__ void store_counted(std::uint32_t to, float2 value, std::uint32_t counter) {
#if __CUDA_ARCH__ >= 900
  asm volatile(
      "st.async.weak.shared::cluster.mbarrier::complete_tx::bytes.v2.f32 [%0], {%1, %2}, [%3];" ::"r"(to),
      "f"(value.x), "f"(value.y), "r"(counter)
      : "memory");
#endif
}
__device__ __forceinline__ void store_counted(std::uint32_t to, const float4& value, std::uint32_t counter) {
#if __CUDA_ARCH__ >= 900
  asm volatile(
      "st.async.weak.shared::cluster.mbarrier::complete_tx::bytes.v4.f32 [%0], {%1, %2, %3, %4}, [%5];" ::"r"(
          to),
      "f"(value.x), "f"(value.y), "f"(value.z), "f"(value.w), "r"(counter)
      : "memory");
#endif
}
/// Waits until a counter of this CTA completes for the first time.
__device__ __forceinline__ void wait_counter(std::uint32_t counter) {
#if __CUDA_ARCH__ >= 900
  asm volatile(
      "{\n.reg .pred done;\nagain:\n"
      "mbarrier.try_wait.parity.acquire.cluster.shared::cta.b64 done, [%0], 0;\n@!done bra again;\n}" ::"r"(
          counter)
      : "memory");
#endif
}

/// The address in CTA `rank` of the cluster of what `address` is here, both in shared memory.
__device__ __forceinline__ std::uint32_t in_cta(std::uint32_t address, int rank) {
#if __CUDA_ARCH__ >= 900
  asm("mapa.shared::cluster.u32 %0, %1, %2;" : "=r"(address) : "r"(address), "r"(rank));
#else
  (void)rank;
#endif
  return address;
}

}  // namespace cross::kernels::cuda
