// Host side of delta4 and delta8: limits, workspace, launch. Included by delta_sm80.cu and delta_sm90.cu,
// which set CROSS_GPU_ARCH.
#pragma once

#include <cuda_runtime_api.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <type_traits>

#include "kernels/cuda/delta.cuh"
#include "kernels/cuda/delta_expand.cuh"
#include "kernels/cuda/gpu_kernel.h"
#include "kernels/cuda/launch.h"
#include "plan/formats/gpu/blob.h"

namespace cross::kernels::cuda::CROSS_GPU_ARCH {

using formats::gpu::DeltaHeader;

static_assert(counter_bytes >= delta_max_ctas * sizeof(std::uint32_t));

inline DeltaHeader delta_header(const PackedMatrix& matrix) {
  return formats::gpu::read_header<DeltaHeader>(matrix.host);
}

/// Tokens that the kernel for `tokens` computes.
inline int delta_pad(std::int64_t tokens) { return tokens == 1 ? 1 : tokens <= 8 ? 8 : 16; }

inline DeltaShared delta_shared(const DeltaHeader& h, std::int64_t tokens) {
  return {h.bits, delta_pad(tokens), h.extent, h.max_pieces, h.part_tiles};
}

inline std::string delta_refuses(const PackedMatrix& matrix, std::int64_t tokens, std::size_t shared_bytes) {
  const std::size_t needed = delta_shared(delta_header(matrix), tokens).bytes + 128;
  if (needed <= shared_bytes) return {};
  return "it was packed for fewer tokens: it needs " + std::to_string(needed) +
         " bytes of shared memory, a block has " + std::to_string(shared_bytes);
}

/// Counters, then the slices' sums. Counters must be zero between runs; sums need not be.
inline std::size_t delta_workspace(const PackedMatrix& matrix, std::int64_t tokens) {
  const DeltaHeader h = delta_header(matrix);
  if (h.slices == 1) return 0;
  return counter_bytes + h.ctas() * static_cast<std::size_t>(h.part_tiles) * delta_tile_rows *
                             static_cast<std::size_t>(delta_pad(tokens)) * sizeof(float);
}

template <class T>
DeltaParams<T> delta_params(const PackedMatrix& matrix, const GpuArgs& args, const DeltaHeader& h) {
  DeltaParams<T> p;
  p.stream = matrix.device + h.stream;
  p.directory = matrix.device + h.directory;
  p.part_rows = reinterpret_cast<const std::int32_t*>(matrix.device + h.part_rows);
  p.x = static_cast<const T*>(args.x);
  p.arrived = reinterpret_cast<std::uint32_t*>(args.workspace);
  p.partial = reinterpret_cast<float*>(args.workspace + counter_bytes);
  p.epilogue = {static_cast<T*>(args.y), args.bias, static_cast<const T*>(args.residual), h.rows,
                args.activation};
  p.cols = h.cols;
  p.tokens = static_cast<std::int32_t>(args.tokens);
  p.slices = h.slices;
  p.extent = h.extent;
  p.part_tiles = h.part_tiles;
  p.max_pieces = h.max_pieces;
  std::memcpy(p.cta_block, matrix.host.data() + h.cta_block, (h.ctas() + 1) * sizeof(std::uint32_t));
  return p;
}

/// Calls f with the dtype, bits and pad as types and constants.
template <class F>
int delta_dispatch(DType dtype, int bits, std::int64_t tokens, F f) {
  const auto with_pad = [&](auto type, auto width) {
    switch (delta_pad(tokens)) {
      case 1:
        return f(type, width, std::integral_constant<int, 1>{});
      case 8:
        return f(type, width, std::integral_constant<int, 8>{});
      default:
        return f(type, width, std::integral_constant<int, 16>{});
    }
  };
  const auto with_bits = [&](auto type) {
    return bits == 4 ? with_pad(type, std::integral_constant<int, 4>{})
                     : with_pad(type, std::integral_constant<int, 8>{});
  };
  return dtype == DType::bf16 ? with_bits(std::type_identity<__nv_bfloat16>{})
                              : with_bits(std::type_identity<__half>{});
}

/// Blocks that a warp loads at a time. More are in flight where registers allow it; sixteen tokens need them
/// for sums. Tuned on an H100 over groups of 2, 3 and 4 and Llama-2-7B's products.
constexpr int delta_group(int bits, int pad) { return bits == 4 ? (pad == 16 ? 2 : 4) : pad == 1 ? 3 : 2; }

inline int delta_launch(const PackedMatrix& matrix, const GpuArgs& args) {
  if (args.tokens == 0) return cudaSuccess;
  const DeltaHeader h = delta_header(matrix);
  return delta_dispatch(matrix.dtype, h.bits, args.tokens, [&](auto type, auto bits, auto pad) {
    using T = typename decltype(type)::type;
    const DeltaParams<T> p = delta_params<T>(matrix, args, h);
    return launch(delta_kernel<T, bits(), pad(), delta_group(bits(), pad())>, static_cast<int>(h.ctas()),
                  delta_warps * 32, delta_shared(h, args.tokens).bytes, args.stream, args.overlap, p);
  });
}

inline int delta_expand(const PackedMatrix& matrix, void* out, void* stream) {
  const DeltaHeader h = delta_header(matrix);
  DeltaExpandParams p;
  p.stream = matrix.device + h.stream;
  p.directory = matrix.device + h.directory;
  p.part_rows = reinterpret_cast<const std::int32_t*>(matrix.device + h.part_rows);
  p.cta_block = reinterpret_cast<const std::uint32_t*>(matrix.device + h.cta_block);
  p.out = static_cast<std::uint16_t*>(out);
  p.cols = h.cols;
  p.slices = h.slices;
  p.extent = h.extent;
  p.part_tiles = h.part_tiles;
  p.max_pieces = h.max_pieces;
  return launch(h.bits == 4 ? delta_expand_kernel<4> : delta_expand_kernel<8>,
                static_cast<int>(h.ctas()) * h.part_tiles, delta_expand_warps * 32,
                delta_expand_bytes(h.extent), stream, false, p);
}

}  // namespace cross::kernels::cuda::CROSS_GPU_ARCH
