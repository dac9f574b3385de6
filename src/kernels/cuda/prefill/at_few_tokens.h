// Formats that only the prefill product takes run it at few tokens as well.
#pragma once

#include "kernels/cuda/gpu_kernel.h"

namespace cross::kernels::cuda {

/// The row of such a format. At few tokens the workspace begins with the counters.
template <auto refuses, auto scratch, auto launch>
GpuKernel prefill_at_any_tokens(Format format, std::int64_t few_tokens, std::int64_t many_tokens) {
  const auto workspace = [](const PackedMatrix& matrix, std::int64_t tokens) -> std::size_t {
    const std::size_t bytes = scratch(matrix, tokens);
    return bytes == 0 ? 0 : counter_bytes + bytes;
  };
  const auto launch_after_counters = [](const PackedMatrix& matrix, const GpuArgs& args) {
    GpuArgs moved = args;
    if (args.workspace != nullptr) {
      moved.counters = reinterpret_cast<std::uint32_t*>(args.workspace);
      moved.workspace = args.workspace + counter_bytes;
    }
    return launch(matrix, moved);
  };
  return {format,     "sm90",
          few_tokens, refuses,
          workspace,  launch_after_counters,
          nullptr,    {many_tokens, refuses, scratch, launch}};
}

}  // namespace cross::kernels::cuda
