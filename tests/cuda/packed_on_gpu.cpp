#include "cuda/packed_on_gpu.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "compiler/pack/gpu/pack_gpu.h"
#include "cross/executor.h"
#include "cuda/gpu_test.h"
#include "plan/formats/gpu/packed.h"

namespace cross::testing {

using kernels::cuda::counter_bytes;
using kernels::cuda::GpuArgs;
using kernels::cuda::GpuKernel;
using kernels::cuda::PackedMatrix;

GuardedGpuBuffer::GuardedGpuBuffer(std::size_t bytes, unsigned char value)
    : bytes_(bytes), buffer_(bytes + 2 * zone, "a guarded buffer") {
  buffer_.fill(pattern);
  upload(std::vector<std::byte>(bytes, std::byte{value}));
}

void GuardedGpuBuffer::upload(std::span<const std::byte> bytes) const { buffer_.upload(bytes, zone); }

std::vector<std::byte> GuardedGpuBuffer::download() const {
  std::vector<std::byte> inside(bytes_);
  buffer_.download(inside, zone);
  return inside;
}

std::string GuardedGpuBuffer::damage() const {
  std::vector<std::byte> guard(zone);
  for (const std::size_t begin : {std::size_t{0}, zone + bytes_}) {
    buffer_.download(guard, begin);
    for (std::size_t i = 0; i < zone; ++i)
      if (guard[i] != std::byte{pattern})
        return fmt::format("written at {}, outside [0, {})",
                           static_cast<std::int64_t>(begin + i) - static_cast<std::int64_t>(zone), bytes_);
  }
  return {};
}

PackedOnGpu::PackedOnGpu(const Halves& weight, Format format, std::int64_t tokens) {
  const cuda::DeviceInfo& gpu = *first_gpu();
  compiler::GpuTarget target;
  target.sms = gpu.sms;
  target.shared_bytes = gpu.shared_bytes;
  target.tokens = tokens;
  std::int64_t kept = 0;
  blob_ = compiler::pack_gpu(weight.view(), weight.dtype, format, target, available_cores(), kept);
  EXPECT_EQ(formats::gpu::check(blob_, format, weight.rows, weight.cols), "");
  EXPECT_EQ(kept, static_cast<std::int64_t>(weight.bits.size()) -
                      std::count(weight.bits.begin(), weight.bits.end(), std::uint16_t{0}));
  buffer_ = cuda::DeviceBuffer(blob_.size(), "a packed matrix");
  buffer_.upload(blob_);
  matrix_ = {blob_, buffer_.data(), weight.dtype};
}

bool runs_here(const GpuKernel& kernel) {
  const cuda::DeviceInfo& gpu = *first_gpu();
  return kernel.arch == "sm90" ? gpu.major == 9 : gpu.major >= 8;
}

std::optional<Halves> run_kernel(const GpuKernel& kernel, const PackedMatrix& matrix, std::int64_t rows,
                                 const Halves& x, std::int64_t tokens, const LaunchOptions& options) {
  const cuda::Stream stream;
  const auto x_bytes = static_cast<std::size_t>(tokens * x.cols) * 2;
  const auto y_bytes = static_cast<std::size_t>(tokens * rows) * 2;
  const std::size_t scratch = kernel.workspace(matrix, tokens);
  const GuardedGpuBuffer x_on_gpu(x_bytes, 0), y(y_bytes, 0xff), workspace(scratch, 0xff);
  const GuardedGpuBuffer separate_counters(counter_bytes, 0);
  const GuardedGpuBuffer bias(4 * options.epilogue.bias.size(), 0);
  const Halves* residual = options.epilogue.residual;
  const GuardedGpuBuffer residual_on_gpu(residual != nullptr ? y_bytes : 0, 0);
  x_on_gpu.upload(x.bytes().first(x_bytes));
  bias.upload(std::as_bytes(std::span(options.epilogue.bias)));
  std::vector<std::byte> counters(options.counters ? std::min(scratch, counter_bytes) : 0);
  workspace.upload(counters);

  GpuArgs args;
  args.x = x_on_gpu.data();
  args.y = y.data();
  args.bias = options.epilogue.bias.empty() ? nullptr : reinterpret_cast<const float*>(bias.data());
  args.activation = options.epilogue.activation;
  args.tokens = tokens;
  args.workspace = workspace.data();
  args.counters = reinterpret_cast<std::uint32_t*>(separate_counters.data());
  args.stream = stream.get();
  args.overlap = options.overlap;
  std::optional<std::vector<std::byte>> first;
  for (int run = 0; run < options.runs; ++run) {
    y.upload(std::vector<std::byte>(y_bytes, std::byte{0xff}));
    if (residual != nullptr) {
      const GuardedGpuBuffer& holder = options.residual_is_y ? y : residual_on_gpu;
      holder.upload(residual->bytes().first(y_bytes));
      args.residual = holder.data();
    }
    const int status = kernel.launch(matrix, args);
    if (status != 0) {
      ADD_FAILURE() << kernel.id() << ": launch failed with CUDA error " << status;
      return std::nullopt;
    }
    stream.wait();
    const auto bytes = y.download();
    if (first) {
      EXPECT_TRUE(bytes == *first) << "two runs differ";
    }
    first = bytes;
  }
  EXPECT_EQ(y.damage(), "") << "around y";
  EXPECT_EQ(workspace.damage(), "") << "around the workspace";
  EXPECT_EQ(x_on_gpu.damage(), "") << "around x";
  const auto after = workspace.download();
  EXPECT_TRUE(std::equal(counters.begin(), counters.end(), after.begin()))
      << "counters are not zero after a run";
  EXPECT_EQ(separate_counters.damage(), "") << "around the counters";
  EXPECT_TRUE(separate_counters.download() == std::vector<std::byte>(counter_bytes))
      << "a prefill product's counters are not zero after a run";
  Halves result(x.dtype, tokens, rows);
  std::memcpy(result.bits.data(), first->data(), y_bytes);
  return result;
}

}  // namespace cross::testing
