// x of cross_panels: every token scaled by a power of two and split into fp16 high and low parts, laid out as
// wgmma reads them; and, where CUDA cores have work, columns of x in fp32.
//
//     x · 2^e = high + low + r,   |high| < 2^15,   |r| <= 2^-22 |x · 2^e| down to 2^-25
#pragma once

#include "kernels/cuda/cross_panels_types.cuh"

namespace cross::kernels::cuda::cross_panels {

struct SplitParams {
  const float* x = nullptr;  ///< [tokens, cols]
  std::byte* planes = nullptr;
  std::byte* columns = nullptr;  ///< nullptr: not wanted
  std::int32_t* exponents = nullptr;
  std::int64_t cols = 0;
  std::int32_t tokens = 0, k_steps = 0;
  std::int32_t token_ctas = 0;  ///< the first CTAs split a token each, the others transpose
};

inline constexpr int split_threads = 256;

__device__ __forceinline__ std::int32_t exponent_for(std::uint32_t largest) {
  return largest >= 0x7f800000u ? not_finite : exponent_of_finite(largest);
}

__device__ __forceinline__ void load_eight(float (&v)[8], const float* row, std::int64_t col,
                                           std::int64_t cols) {
  if (cols % 4 == 0 && col + 8 <= cols) {
    const float4 a = *reinterpret_cast<const float4*>(row + col),
                 b = *reinterpret_cast<const float4*>(row + col + 4);
    v[0] = a.x, v[1] = a.y, v[2] = a.z, v[3] = a.w, v[4] = b.x, v[5] = b.y, v[6] = b.z, v[7] = b.w;
  } else {
#pragma unroll
    for (int i = 0; i < 8; ++i) v[i] = col + i < cols ? row[col + i] : 0.0f;
  }
}

__device__ __forceinline__ void split_token(const SplitParams& p, std::int32_t token) {
  __shared__ std::uint32_t shared_largest[split_threads / 32];
  const int thread = static_cast<int>(threadIdx.x);
  if (token >= p.tokens) {
    if (thread == 0) p.exponents[token] = 0;
    return;
  }
  const float* row = p.x + static_cast<std::int64_t>(token) * p.cols;
  std::uint32_t largest = 0;
  const std::int64_t padded = static_cast<std::int64_t>(p.k_steps) * cross_k;
  for (std::int64_t col = thread * 8; col < padded; col += split_threads * 8) {
    float v[8];
    load_eight(v, row, col, p.cols);
#pragma unroll
    for (int i = 0; i < 8; ++i) largest = max(largest, __float_as_uint(v[i]) & 0x7fffffffu);
  }
  largest = __reduce_max_sync(~0u, largest);
  if ((thread & 31) == 0) shared_largest[thread >> 5] = largest;
  __syncthreads();
#pragma unroll
  for (int i = 0; i < split_threads / 32; ++i) largest = max(largest, shared_largest[i]);
  const std::int32_t exponent = exponent_for(largest);
  if (thread == 0) p.exponents[token] = exponent;
  const bool finite = exponent != not_finite;
  const float scale = finite ? power_of_two(exponent) : 0.0f;
  const int r = token % cross_tokens;
  std::byte* tile =
      p.planes + static_cast<std::int64_t>(token / cross_tokens) * p.k_steps * planes_bytes + r * 128;
  for (std::int64_t col = thread * 8; col < padded; col += split_threads * 8) {
    float v[8];
    load_eight(v, row, col, p.cols);
    uint4 high, low;
#pragma unroll
    for (int i = 0; i < 8; ++i) v[i] = finite ? v[i] * scale : 0.0f;
    split_pair(v[0], v[1], high.x, low.x);
    split_pair(v[2], v[3], high.y, low.y);
    split_pair(v[4], v[5], high.z, low.z);
    split_pair(v[6], v[7], high.w, low.w);
    std::byte* to =
        tile + col / cross_k * planes_bytes + ((static_cast<int>(col % cross_k) / 8 ^ (r & 7)) << 4);
    *reinterpret_cast<uint4*>(to) = high;
    *reinterpret_cast<uint4*>(to + plane_bytes) = low;
  }
}

/// 32 tokens by a K step: [token][column] → [column][token].
__device__ __forceinline__ void transpose_columns(const SplitParams& p, std::int32_t index) {
  __shared__ float tile[group_tokens][cross_k + 1];
  const std::int32_t group = index / p.k_steps, k_step = index % p.k_steps;
  const int thread = static_cast<int>(threadIdx.x);
  for (int i = thread; i < group_tokens * cross_k; i += split_threads) {
    const int token = i / cross_k, c = i % cross_k;
    const std::int64_t row = group * group_tokens + token,
                       col = static_cast<std::int64_t>(k_step) * cross_k + c;
    tile[token][c] = row < p.tokens && col < p.cols ? p.x[row * p.cols + col] : 0.0f;
  }
  __syncthreads();
  auto* out = reinterpret_cast<float*>(p.columns + static_cast<std::int64_t>(index) * columns_bytes);
  for (int i = thread; i < group_tokens * cross_k; i += split_threads)
    out[i] = tile[i % group_tokens][i / group_tokens];
}

static __global__ void __launch_bounds__(split_threads) split_kernel(const __grid_constant__ SplitParams p) {
  wait_for_predecessor();
  const auto cta = static_cast<std::int32_t>(blockIdx.x);
  if (cta < p.token_ctas)
    split_token(p, cta);
  else
    transpose_columns(p, cta - p.token_ctas);
}

}  // namespace cross::kernels::cuda::cross_panels
