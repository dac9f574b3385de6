// The calling convention of CUDA kernels and the table they are declared in. No CUDA header is needed to read
// it: device addresses are raw pointers, a stream is its handle as void*, errors are cudaError_t as int.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "cross/dtype.h"
#include "cross/epilogue.h"
#include "cross/format.h"

namespace cross::kernels::cuda {

/// Part of every CUDA profile's key: raise it when a kernel's speed or a packed layout changes.
inline constexpr int gpu_table_version = 8;

/// One packed matrix: the blob in host memory (its header decides the launch) and on the device.
struct PackedMatrix {
  std::span<const std::byte> host;    ///< checked (plan/formats/gpu/*.h) before it comes here
  const std::byte* device = nullptr;  ///< the same bytes, 256-byte aligned
  DType dtype = DType::bf16;          ///< bf16 or fp16
};

/// A workspace begins with this many bytes of counters, zero before every run and after it, whichever kernel
/// ran; what follows them is scratch, with any contents. So all layers of a stream share one workspace.
inline constexpr std::size_t counter_bytes = 4096;

/// Stamps of a worker of cross_panels, ns of the GPU's clock: when it began, and when its tensor cores and
/// its CUDA cores were done.
inline constexpr int worker_stamps = 3;

/// y = activation(x·Wᵀ + bias) + residual; all addresses on the device.
struct GpuArgs {
  const void* x = nullptr;         ///< [tokens, cols], 16-byte aligned, cols a multiple of 8 for aligned rows
  void* y = nullptr;               ///< [tokens, rows]
  const float* bias = nullptr;     ///< [rows], or nullptr
  const void* residual = nullptr;  ///< [tokens, rows], or nullptr
  Activation activation = Activation::none;
  std::int64_t tokens = 0;
  std::byte* workspace = nullptr;     ///< `workspace` bytes, 256-byte aligned: counters (zero), then scratch
  std::uint32_t* counters = nullptr;  ///< of a GpuPrefill: counter_bytes, zero before and after
  void* stream = nullptr;
  bool overlap = false;  ///< launch with programmatic dependent launch: the caller chains CROSS kernels only
  /// cross_panels: [workers][worker_stamps], zeroed, for those who measure its balance; or nullptr.
  std::uint64_t* worker_stamps = nullptr;
};

/// A product at many tokens from the same packed matrix; `launch` is nullptr where there is none.
struct GpuPrefill {
  std::int64_t max_tokens = 0;
  /// Why it cannot run the matrix at `tokens` on a GPU with `shared_bytes` per block; empty if it can.
  std::string (*refuses)(const PackedMatrix&, std::int64_t tokens, std::size_t shared_bytes) = nullptr;
  /// Bytes of scratch, any contents. It stands in GpuArgs::workspace, without counters: GpuArgs::counters.
  std::size_t (*scratch)(const PackedMatrix&, std::int64_t tokens) = nullptr;
  /// Enqueues; neither allocates nor synchronises. Returns a cudaError_t.
  int (*launch)(const PackedMatrix&, const GpuArgs&) = nullptr;
  /// Whether it is faster than the row's other ways, decoding and expanding: decides for token counts that a
  /// plan does not name, so that no one has measured them. nullptr: it never is, or is the only way.
  bool (*pays)(const PackedMatrix&, std::int64_t tokens) = nullptr;
};

/// One row of the table.
struct GpuKernel {
  Format format = Format::empty;
  std::string_view arch;  ///< "sm80" (portable) or "sm90" (Hopper)
  std::int64_t max_tokens = 0;
  /// Why this kernel cannot run the matrix at `tokens` on a GPU with `shared_bytes` per block; empty if it
  /// can.
  std::string (*refuses)(const PackedMatrix&, std::int64_t tokens, std::size_t shared_bytes) = nullptr;
  /// Bytes of workspace, counter_bytes of counters included; 0 if it needs none. One per stream.
  std::size_t (*workspace)(const PackedMatrix&, std::int64_t tokens) = nullptr;
  /// Enqueues; neither allocates nor synchronises. Returns a cudaError_t.
  int (*launch)(const PackedMatrix&, const GpuArgs&) = nullptr;
  /// Enqueues: decodes the matrix into a dense one, row-major in its dtype: out[rows, cols], 256-byte
  /// aligned. nullptr: none; more tokens than max_tokens then run in slices. Returns a cudaError_t.
  int (*expand)(const PackedMatrix&, void* out, void* stream) = nullptr;
  GpuPrefill prefill = {};
  std::string id() const { return std::string(name_of(format)) + "." + std::string(arch); }
};

/// All rows, the fastest architecture first within a format.
std::span<const GpuKernel> gpu_kernels();

/// The row for `format` on a GPU of compute capability `major`.`minor`; nullptr below 8.0 or for other
/// formats.
const GpuKernel* gpu_kernel_for(Format format, int major, int minor);

}  // namespace cross::kernels::cuda
