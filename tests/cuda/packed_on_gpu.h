// A packed matrix on the GPU, and its kernel run between guard zones.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cuda/halves.h"
#include "cuda/memory.h"
#include "kernels/cuda/gpu_kernel.h"

namespace cross::testing {

/// Device memory with a guard zone on either side: whoever writes there is found.
class GuardedGpuBuffer {
 public:
  /// The inside is filled with `value`.
  GuardedGpuBuffer(std::size_t bytes, unsigned char value);
  std::byte* data() const { return buffer_.data() + zone; }
  std::size_t size() const { return bytes_; }
  void upload(std::span<const std::byte> bytes) const;
  std::vector<std::byte> download() const;
  /// Where the guard zones are damaged, or empty.
  std::string damage() const;

 private:
  static constexpr std::size_t zone = 4096;
  static constexpr unsigned char pattern = 0xa5;
  std::size_t bytes_;
  cuda::DeviceBuffer buffer_;
};

/// A weight packed for the current GPU, on it.
class PackedOnGpu {
 public:
  /// @param tokens that the packing must serve
  PackedOnGpu(const Halves& weight, Format format, std::int64_t tokens);
  const kernels::cuda::PackedMatrix& matrix() const { return matrix_; }
  std::size_t bytes() const { return blob_.size(); }

 private:
  std::vector<std::byte> blob_;
  cuda::DeviceBuffer buffer_;
  kernels::cuda::PackedMatrix matrix_;
};

/// What one launch is given besides the matrix.
struct LaunchOptions {
  Epilogue epilogue;
  bool residual_is_y = false;  ///< the residual lies where y goes
  bool overlap = false;
  bool counters = true;  ///< the workspace begins with counters, zero before a run and after it
  int runs = 2;          ///< one after the other in one workspace; all must give the same bits
};

/// Runs `kernel` on the first `tokens` tokens of x with poisoned y and scratch. Fails the test where guards
/// are damaged, counters are left behind or runs differ. nullopt if the launch failed, which fails the test.
std::optional<Halves> run_kernel(const kernels::cuda::GpuKernel& kernel,
                                 const kernels::cuda::PackedMatrix& matrix, std::int64_t rows,
                                 const Halves& x, std::int64_t tokens, const LaunchOptions& options = {});

/// Whether this GPU can run the row of the table.
bool runs_here(const kernels::cuda::GpuKernel& kernel);

}  // namespace cross::testing
