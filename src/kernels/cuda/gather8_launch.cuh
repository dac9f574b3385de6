// Host side of gather8: limits, workspace, launch. Included by gather8_sm80.cu and gather8_sm90.cu, which set
// CROSS_GPU_ARCH.
#pragma once

#include <cuda_runtime_api.h>

#include <array>
#include <cstring>
#include <string>

#include "kernels/cuda/gather8.cuh"
#include "kernels/cuda/launch.h"

namespace cross::kernels::cuda::CROSS_GPU_ARCH {

using formats::gpu::Gather8Header;

inline Gather8Header gather8_header(const PackedMatrix& matrix) {
  Gather8Header header;
  std::memcpy(static_cast<void*>(&header), matrix.host.data(), sizeof header);
  return header;
}

/// Deepest ring that fits beside X, or 0.
template <int planes>
int gather8_stages(const Gather8Header& header, std::size_t shared_bytes) {
  for (const int stages : {6, 3})
    if (Gather8Shared<planes>::bytes(header.k_extent, stages) + 64 <= shared_bytes) return stages;
  return 0;
}

/// Calls f with planes = ceil(tokens / 8) rounded up to 1, 2, 4 or 8 as a constant.
template <class F>
auto with_planes(std::int64_t tokens, F f) {
  if (tokens <= 8) return f(std::integral_constant<int, 1>{});
  if (tokens <= 16) return f(std::integral_constant<int, 2>{});
  if (tokens <= 32) return f(std::integral_constant<int, 4>{});
  return f(std::integral_constant<int, 8>{});
}

inline std::string gather8_refuses(const PackedMatrix& matrix, std::int64_t tokens,
                                   std::size_t shared_bytes) {
  if (tokens > 64) return "gather8 takes at most 64 tokens";
  const Gather8Header header = gather8_header(matrix);
  const int stages =
      with_planes(tokens, [&](auto planes) { return gather8_stages<planes()>(header, shared_bytes); });
  if (stages == 0)
    return "K ranges of " + std::to_string(header.k_extent) + " columns do not fit into shared memory at " +
           std::to_string(tokens) + " tokens";
  return {};
}

inline std::size_t gather8_partial_bytes(const Gather8Header& header, std::int64_t tokens) {
  if (header.k_groups == 1) return 0;
  const auto planes = static_cast<std::size_t>(with_planes(tokens, [](auto p) { return p(); }));
  return static_cast<std::size_t>(header.entries) * 256 * planes;
}

/// One counter a part, then partial sums.
inline std::size_t gather8_workspace(const PackedMatrix& matrix, std::int64_t tokens) {
  const Gather8Header header = gather8_header(matrix);
  return header.k_groups == 1 ? 0 : counter_bytes + gather8_partial_bytes(header, tokens);
}

template <class T, int planes, int stages>
int gather8_launch_as(const Gather8Params<T>& params, const Gather8Header& header, const GpuArgs& args) {
  const std::size_t shared = Gather8Shared<planes>::bytes(header.k_extent, stages);
  return launch(gather8_kernel<T, planes, stages>, header.parts * header.k_groups, gather8_warps * 32, shared,
                args.stream, args.overlap, params);
}

template <class T>
int gather8_launch_typed(const PackedMatrix& matrix, const GpuArgs& args) {
  const Gather8Header header = gather8_header(matrix);
  Gather8Params<T> p;
  const auto array = [&](std::uint64_t offset) { return matrix.device + offset; };
  p.stream = array(header.stream);
  p.cta_entry = reinterpret_cast<const std::uint32_t*>(array(header.cta_entry));
  p.entry_end = reinterpret_cast<const std::uint32_t*>(array(header.entry_end));
  p.entry_rows = reinterpret_cast<const std::int32_t*>(array(header.entry_rows));
  p.entry_starts = reinterpret_cast<const std::uint16_t*>(array(header.entry_starts));
  p.warp_entry = reinterpret_cast<const std::uint32_t*>(array(header.warp_entry));
  p.warp_starts = reinterpret_cast<const std::uint16_t*>(array(header.warp_starts));
  p.x = static_cast<const T*>(args.x);
  p.arrived = reinterpret_cast<std::uint32_t*>(args.workspace);
  p.partial = reinterpret_cast<float*>(args.workspace + counter_bytes);
  p.epilogue = {static_cast<T*>(args.y), args.bias, static_cast<const T*>(args.residual), header.rows,
                args.activation};
  p.cols = header.cols;
  p.tokens = static_cast<std::int32_t>(args.tokens);
  p.k_groups = header.k_groups;
  p.k_extent = header.k_extent;
  std::memcpy(p.cta_block, matrix.host.data() + header.cta_block,
              (static_cast<std::size_t>(header.parts) * static_cast<std::size_t>(header.k_groups) + 1) * 4);
  return with_planes(args.tokens, [&](auto planes) {
    switch (gather8_stages<planes()>(header, opt_in_shared_bytes())) {
      case 6:
        return gather8_launch_as<T, planes(), 6>(p, header, args);
      case 3:
        return gather8_launch_as<T, planes(), 3>(p, header, args);
      default:
        return static_cast<int>(cudaErrorInvalidConfiguration);
    }
  });
}

inline int gather8_launch(const PackedMatrix& matrix, const GpuArgs& args) {
  if (args.tokens == 0) return cudaSuccess;
  return matrix.dtype == DType::bf16 ? gather8_launch_typed<__nv_bfloat16>(matrix, args)
                                     : gather8_launch_typed<__half>(matrix, args);
}

inline int gather8_expand(const PackedMatrix& matrix, void* out, void* stream) {
  const Gather8Header header = gather8_header(matrix);
  const auto array = [&](std::uint64_t offset) { return matrix.device + offset; };
  Gather8ExpandParams p;
  p.stream = array(header.stream);
  p.cta_entry = reinterpret_cast<const std::uint32_t*>(array(header.cta_entry));
  p.entry_end = reinterpret_cast<const std::uint32_t*>(array(header.entry_end));
  p.entry_rows = reinterpret_cast<const std::int32_t*>(array(header.entry_rows));
  p.entry_starts = reinterpret_cast<const std::uint16_t*>(array(header.entry_starts));
  p.out = static_cast<std::uint16_t*>(out);
  p.cols = header.cols;
  p.k_groups = header.k_groups;
  p.k_extent = header.k_extent;
  const auto bytes = static_cast<std::size_t>(header.rows) * static_cast<std::size_t>(header.cols) * 2;
  if (const cudaError_t error = cudaMemsetAsync(out, 0, bytes, static_cast<cudaStream_t>(stream));
      error != cudaSuccess)
    return error;
  return launch(gather8_expand_kernel, header.parts * header.k_groups, gather8_warps * 32, 0, stream, false,
                p);
}

}  // namespace cross::kernels::cuda::CROSS_GPU_ARCH
