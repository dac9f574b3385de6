// Sums of four neighbouring rows of one token, as fp32 kernels keep them in shared memory.
#pragma once

#include "kernels/cuda/epilogue.cuh"

namespace cross::kernels::cuda {

__device__ __forceinline__ float4 load_shared_floats4(std::uint32_t address) {
  float4 v;
  asm volatile("ld.shared.v4.f32 {%0, %1, %2, %3}, [%4];"
               : "=f"(v.x), "=f"(v.y), "=f"(v.z), "=f"(v.w)
               : "r"(address)
               : "memory");
  return v;
}

/// Stores them, but for rows past the last. Out of line: it would be unrolled, and instructions have to come
/// from memory too.
static __device__ __noinline__ void store_four_rows(const EpilogueArgs<float>& e, std::int64_t row,
                                                    std::int64_t token, float4 sum) {
  const float values[4] = {sum.x, sum.y, sum.z, sum.w};
#pragma unroll
  for (int j = 0; j < 4; ++j)
    if (row + j < e.rows) store_output(e, row + j, token, values[j]);
}

}  // namespace cross::kernels::cuda
