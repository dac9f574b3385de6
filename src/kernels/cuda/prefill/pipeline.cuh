// Hopper's instructions that a pipeline of tensor copies and warp groups needs: barriers that span a cluster,
// tensor copies to several CTAs at once, registers that move from producers to consumers.
#pragma once

#include <cuda.h>

#include "kernels/cuda/bulk_copy.cuh"
#include "kernels/cuda/cluster.cuh"

namespace cross::kernels::cuda {

/// Places of a ring in the order of use: which one, and the parity of the turn.
struct RingPlace {
  int place = 0;
  std::uint32_t parity = 0;
  __device__ __forceinline__ void next(int places) {
    if (++place == places) {
      place = 0;
      parity ^= 1;
    }
  }
};

/// Waits for a phase that CTAs of the cluster complete together. Acquires and releases at the scope of the
/// cluster would cost a fence of the whole GPU each time; what these barriers order are copies and wgmma,
/// which complete them or have ended. With CROSS_BOUNDED_WAITS a wait of seconds ends the kernel with an
/// error instead of holding the GPU.
__device__ __forceinline__ void wait_in_cluster(std::uint32_t barrier, std::uint32_t parity) {
#ifdef CROSS_BOUNDED_WAITS
  long long tries = 0;
#endif
  for (;;) {
    std::uint32_t done;
    asm volatile(
        "{\n.reg .pred p;\nmbarrier.try_wait.parity.shared::cta.b64 p, [%1], %2;\n"
        "selp.u32 %0, 1, 0, p;\n}"
        : "=r"(done)
        : "r"(barrier), "r"(parity)
        : "memory");
    if (done != 0) return;
#ifdef CROSS_BOUNDED_WAITS
    if (++tries > 2000000) __trap();
#endif
  }
}

/// Whether that phase is complete; does not wait.
__device__ __forceinline__ bool phase_done(std::uint32_t barrier, std::uint32_t parity) {
  std::uint32_t done;
  asm volatile(
      "{\n.reg .pred p;\nmbarrier.test_wait.parity.shared::cta.b64 p, [%1], %2;\n"
      "selp.u32 %0, 1, 0, p;\n}"
      : "=r"(done)
      : "r"(barrier), "r"(parity)
      : "memory");
  return done != 0;
}

/// Waits until other CTAs have counted `counter` in memory up to `value`; what they wrote before is visible.
__device__ __forceinline__ void wait_until_equal(const std::uint32_t* counter, std::uint32_t value) {
#ifdef CROSS_BOUNDED_WAITS
  long long tries = 0;
#endif
  for (;;) {
    std::uint32_t now;
    asm volatile("ld.acquire.gpu.global.u32 %0, [%1];" : "=r"(now) : "l"(counter) : "memory");
    if (now == value) return;
#ifdef CROSS_BOUNDED_WAITS
    if (++tries > 2000000) __trap();
#endif
  }
}

/// Between stores to memory and copies that read them, on either side.
__device__ __forceinline__ void fence_async_proxy_of_memory() {
  asm volatile("fence.proxy.async.global;" ::: "memory");
}
/// Counts `counter` in memory up; what was ordered before by a fence is visible to who waits for it.
__device__ __forceinline__ void count_up(std::uint32_t* counter) {
  asm volatile("red.release.gpu.global.add.u32 [%0], 1;" ::"l"(counter) : "memory");
}

/// Arrives at a barrier of any CTA in the cluster (`in_cta`).
__device__ __forceinline__ void arrive_in_cluster(std::uint32_t barrier) {
  asm volatile("mbarrier.arrive.shared::cluster.b64 _, [%0];" ::"r"(barrier) : "memory");
}
__device__ __forceinline__ void arrive_here(std::uint32_t barrier) {
  asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(barrier) : "memory");
}
/// Arrives `times` times.
__device__ __forceinline__ void arrive_times(std::uint32_t barrier, int times) {
  asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0], %1;" ::"r"(barrier), "r"(times) : "memory");
}
/// Arrives and announces `bytes` of copies that the phase waits for.
__device__ __forceinline__ void arrive_expecting(std::uint32_t barrier, std::uint32_t bytes) {
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(barrier), "r"(bytes)
               : "memory");
}

/// Copies a box of `map` from (column, row) to shared memory, zeros past the end of the tensor; one thread.
__device__ __forceinline__ void copy_box(std::uint32_t shared, const CUtensorMap& map, int column, int row,
                                         std::uint32_t barrier) {
  asm volatile(
      "cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [%0], [%1, {%2, "
      "%3}], [%4];" ::"r"(shared),
      "l"(&map), "r"(column), "r"(row), "r"(barrier)
      : "memory");
}
/// The same to the same place of every CTA in `ctas` (bits by rank), counted at the same barrier of each.
__device__ __forceinline__ void copy_box_to_all(std::uint32_t shared, const CUtensorMap& map, int column,
                                                int row, std::uint32_t barrier, std::uint16_t ctas) {
  asm volatile(
      "cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes.multicast::cluster "
      "[%0], [%1, {%2, %3}], [%4], %5;" ::"r"(shared),
      "l"(&map), "r"(column), "r"(row), "r"(barrier), "h"(ctas)
      : "memory");
}
__device__ __forceinline__ void prefetch_map(const CUtensorMap& map) {
  asm volatile("prefetch.tensormap [%0];" ::"l"(&map) : "memory");
}

/// Copies `bytes` (a multiple of 16, from and to multiples of 16); one thread.
__device__ __forceinline__ void copy_bytes(std::uint32_t shared, const std::byte* global, std::uint32_t bytes,
                                           std::uint32_t barrier) {
  asm volatile(
      "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::"r"(shared),
      "l"(global), "r"(bytes), "r"(barrier)
      : "memory");
}

/// Stores a box from shared memory to (column, row) of `map`, as far as the tensor reaches; one thread, after
/// `fence_async_proxy` and a barrier. Boxes are counted in groups that commit_stores ends.
__device__ __forceinline__ void store_box(const CUtensorMap& map, int column, int row, std::uint32_t shared) {
  asm volatile("cp.async.bulk.tensor.2d.global.shared::cta.bulk_group [%0, {%1, %2}], [%3];" ::"l"(&map),
               "r"(column), "r"(row), "r"(shared)
               : "memory");
}
__device__ __forceinline__ void commit_stores() { asm volatile("cp.async.bulk.commit_group;" ::: "memory"); }
/// Waits until at most `pending` of this thread's groups still read shared memory.
template <int pending>
__device__ __forceinline__ void wait_stores() {
  asm volatile("cp.async.bulk.wait_group.read %0;" ::"n"(pending) : "memory");
}

/// Waits until all of this thread's groups are in memory.
__device__ __forceinline__ void wait_stored() { asm volatile("cp.async.bulk.wait_group 0;" ::: "memory"); }

/// Stores 16 bytes into any CTA's shared memory and counts them there once they have come.
__device__ __forceinline__ void store_counted16(std::uint32_t to, const float (&v)[4],
                                                std::uint32_t counter) {
  asm volatile(
      "st.async.weak.shared::cluster.mbarrier::complete_tx::bytes.v4.f32 [%0], {%1, %2, %3, %4}, [%5];" ::"r"(
          to),
      "f"(v[0]), "f"(v[1]), "f"(v[2]), "f"(v[3]), "r"(counter)
      : "memory");
}

/// A warp group gives back or takes registers, to `count` a thread; all its warps call it.
template <int count>
__device__ __forceinline__ void lower_registers() {
  asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(count));
}
template <int count>
__device__ __forceinline__ void raise_registers() {
  asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(count));
}

/// The warp group's own barrier: 128 threads, numbers from 1.
__device__ __forceinline__ void sync_group(int number) {
  asm volatile("bar.sync %0, 128;" ::"r"(number) : "memory");
}

/// Any of the CTA's barriers by number, which `threads` in all reach: to wait there, or only to say so.
__device__ __forceinline__ void sync_named(int number, int threads) {
  asm volatile("bar.sync %0, %1;" ::"r"(number), "r"(threads) : "memory");
}
__device__ __forceinline__ void arrive_named(int number, int threads) {
  asm volatile("bar.arrive %0, %1;" ::"r"(number), "r"(threads) : "memory");
}

/// The same as sync_group, and whether `value` is true in any of its threads.
__device__ __forceinline__ bool sync_group_any(int number, bool value) {
  std::uint32_t any;
  asm volatile(
      "{\n.reg .pred p, q;\nsetp.ne.u32 p, %1, 0;\nbar.red.or.pred q, %2, 128, p;\nselp.u32 %0, 1, 0, q;\n}"
      : "=r"(any)
      : "r"(static_cast<std::uint32_t>(value)), "r"(number)
      : "memory");
  return any != 0;
}

__device__ __forceinline__ int cluster_rank() {
  std::uint32_t rank;
  asm volatile("mov.u32 %0, %%cluster_ctarank;" : "=r"(rank));
  return static_cast<int>(rank);
}

/// Four 8x8 matrices of 16-bit elements to shared memory; lane l names row l mod 8 of matrix l / 8.
__device__ __forceinline__ void store_matrices(std::uint32_t row_address, const std::uint32_t (&v)[4]) {
  asm volatile("stmatrix.sync.aligned.m8n8.x4.shared.b16 [%0], {%1, %2, %3, %4};" ::"r"(row_address),
               "r"(v[0]), "r"(v[1]), "r"(v[2]), "r"(v[3])
               : "memory");
}
/// The same, transposed.
__device__ __forceinline__ void store_matrices_transposed(std::uint32_t row_address,
                                                          const std::uint32_t (&v)[4]) {
  asm volatile("stmatrix.sync.aligned.m8n8.x4.trans.shared.b16 [%0], {%1, %2, %3, %4};" ::"r"(row_address),
               "r"(v[0]), "r"(v[1]), "r"(v[2]), "r"(v[3])
               : "memory");
}

}  // namespace cross::kernels::cuda
