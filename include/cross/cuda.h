// Executes CUDA plans on the caller's device buffers and streams. No CUDA header is needed: addresses on the
// device are plain pointers, a stream is its cudaStream_t as void*. A build without CUDA has these functions
// too: they throw DeviceError.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "cross/epilogue.h"
#include "cross/plan.h"

namespace cross::cuda {

/// One GPU as the driver describes it.
struct DeviceInfo {
  int index = 0;
  std::string name;          ///< "NVIDIA H200"
  int major = 0, minor = 0;  ///< compute capability
  int sms = 0;
  std::size_t shared_bytes = 0;  ///< shared memory that one block may have
  std::size_t l2_bytes = 0;
  std::size_t memory_bytes = 0;
  int driver = 0;  ///< CUDA version that the driver supports: 13000 is 13.0

  int sm() const { return 10 * major + minor; }
};

/// All GPUs of this machine; empty if there is none, or no driver.
std::vector<DeviceInfo> devices();

/// The GPU with this index. DeviceError, with what is needed, if there is no driver, no such GPU, or it is
/// older than compute capability 8.0.
DeviceInfo require_device(int index);

/// One call of one layer: y = activation(x·Wᵀ + bias) + residual, all in the plan's dtype, row-major,
/// contiguous, on the device. x and y must not overlap; residual may be y.
struct RunArgs {
  const void* x = nullptr;         ///< [tokens, cols], 16-byte aligned
  void* y = nullptr;               ///< [tokens, rows], 16-byte aligned
  std::int64_t tokens = 0;         ///< any count ≥ 0
  const void* residual = nullptr;  ///< [tokens, rows], 16-byte aligned, or nullptr
  Activation activation = Activation::none;
  bool bias = true;  ///< add the layer's bias, if it has one
  void* workspace =
      nullptr;  ///< at least workspace_bytes(layer, tokens) bytes, 256-byte aligned; prepare_workspace once
  std::size_t workspace_bytes = 0;
  /// Let this kernel start before the kernel in front of it in the stream has ended (programmatic dependent
  /// launch). Only where that kernel is a run of a CROSS layer too.
  bool overlap = false;
};

/// The bytes of a plan in host memory, and a copy of them on a GPU.
struct PlanImage {
  const std::byte* host = nullptr;
  const std::byte* device = nullptr;
  std::size_t bytes = 0;
};

/// Memory of a GPU that outlives the allocators of frameworks, for workspaces. Freed with its owner.
class DeviceMemory {
 public:
  /// DeviceError if the GPU has too little free memory. Contents are unspecified.
  DeviceMemory(std::size_t bytes, int device = 0);
  ~DeviceMemory();
  DeviceMemory(DeviceMemory&&) noexcept;

  void* data() const;
  std::size_t size() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// A plan made ready to run on one GPU: every packing uploaded once, kernels and library algorithms chosen.
///
/// Numerics: products are accumulated in fp32. Token counts that go through cuBLASLt multiply pruned
/// positions with zero, so there Inf or NaN in x spreads over its token; packed kernels say in docs/gpu.md
/// what they do. Packed kernels are bitwise reproducible for the same plan, GPU and token count.
///
/// Threads: `run` is const and thread-safe. A workspace serves one stream at a time; several streams need one
/// each.
class Session {
 public:
  /// `plan` must outlive the session; the bytes of its weights (Packing::data) may go as soon as it is made.
  /// Makes `device` the calling thread's current GPU while it uploads, then
  /// restores it. DeviceError if this machine or build cannot run the plan, or the GPU has too little free
  /// memory: what was allocated until then is freed.
  Session(const Plan& plan, int device = 0);
  /// The same, where the bytes that `plan` was parsed from (Plan::parse) already lie on the device, in the
  /// same order, at `image.device`: weights at addresses that are multiples of 256 are read there, which must
  /// stay as they are while the session lives; the others are uploaded. Plans that this version compiles for
  /// GPUs have all weights at such places, if `image.device` is one.
  Session(const Plan& plan, int device, const PlanImage& image);
  ~Session();
  Session(Session&&) noexcept;

  /// Bytes that `run` needs. Its first bytes, as many for every layer, are counters that each run finds and
  /// leaves zero; so one workspace, of the largest size, serves all layers of a stream in turn.
  std::size_t workspace_bytes(std::size_t layer, std::int64_t tokens) const;
  /// Enqueues what a workspace needs before its first run.
  void prepare_workspace(void* workspace, std::size_t bytes, void* stream) const;

  /// Enqueues the product on `stream`, which belongs to the session's GPU, the calling thread's current one.
  /// Neither allocates on the device nor synchronises, and can be captured into a CUDA graph. The first call
  /// of a layer with a token count or epilogue that the plan does not name asks cuBLASLt for an algorithm,
  /// which takes longer; `prepare` does that ahead. UsageError for a layer index, pointer or workspace that
  /// does not fit.
  void run(std::size_t layer, const RunArgs& args, void* stream) const;
  /// Chooses what `run` with these arguments (their pointers are not used, residual counts as given or not)
  /// needs.
  void prepare(std::size_t layer, const RunArgs& args) const;

  /// What `run` does at a token count: "delta4.sm90", "expand delta4, cublaslt", "cublaslt".
  std::string kernel(std::size_t layer, std::int64_t tokens) const;
  const DeviceInfo& device() const;
  std::size_t device_bytes() const;  ///< allocated for weights and biases

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace cross::cuda
