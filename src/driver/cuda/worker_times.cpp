#include "driver/cuda/worker_times.h"

#include <algorithm>
#include <numeric>
#include <span>

#include "cross/error.h"
#include "cuda/memory.h"
#include "cuda/random.h"
#include "kernels/cuda/gpu_kernel.h"
#include "plan/formats/gpu/blob.h"
#include "plan/formats/gpu/cross_panels.h"

namespace cross::driver::cuda {

std::vector<double> WorkerTimes::all() const {
  std::vector<double> later(tensor.size());
  std::transform(tensor.begin(), tensor.end(), gather.begin(), later.begin(),
                 [](double a, double b) { return std::max(a, b); });
  return later;
}

double mean(const std::vector<double>& values) {
  return values.empty()
             ? 0
             : std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

WorkerTimes worker_times(const LayerPlan& layer, const cross::cuda::DeviceInfo& device, std::int64_t tokens) {
  using cross::cuda::DeviceBuffer;
  constexpr int runs = 4;
  constexpr std::size_t stamps_each = kernels::cuda::worker_stamps;
  const auto* kernel = kernels::cuda::gpu_kernel_for(Format::cross_panels, device.major, device.minor);
  if (kernel == nullptr) throw DeviceError("cross_panels: this GPU has no kernel for it");
  const Packing& packing = layer.packings.at(0);
  kernels::cuda::PackedMatrix matrix{packing.data.bytes.first(packing.panels.at(0).segments.at(0).bytes),
                                     nullptr, DType::fp32};
  const DeviceBuffer blob(matrix.host.size(), "packed weights");
  blob.upload(matrix.host);
  matrix.device = blob.data();
  const auto workers = static_cast<std::size_t>(
      formats::gpu::read_header<formats::gpu::CrossPanelsHeader>(matrix.host).workers);
  const DeviceBuffer x(static_cast<std::size_t>(tokens * layer.cols) * 4, "activations"),
      y(static_cast<std::size_t>(tokens * layer.rows) * 4, "results"),
      workspace(kernel->workspace(matrix, tokens), "a workspace"),
      stamps(workers * stamps_each * sizeof(std::uint64_t), "times of workers");
  cross::cuda::fill_random(x, DType::fp32, tokens * layer.cols, 1.0, 7);
  workspace.fill(0);
  kernels::cuda::GpuArgs args;
  args.x = x.data();
  args.y = y.data();
  args.tokens = tokens;
  args.workspace = workspace.data();
  args.worker_stamps = reinterpret_cast<std::uint64_t*>(stamps.data());
  const cross::cuda::Stream stream;
  args.stream = stream.get();
  for (int run = 0; run < runs; ++run) {
    stamps.fill(0);
    if (kernel->launch(matrix, args) != 0) throw InternalError("cross_panels: the launch failed");
    stream.wait();
  }
  std::vector<std::uint64_t> read(workers * stamps_each);
  stamps.download(std::as_writable_bytes(std::span(read)));
  std::uint64_t first = ~std::uint64_t{0};
  for (std::size_t w = 0; w < workers; ++w) first = std::min(first, read[stamps_each * w]);
  WorkerTimes result;
  for (std::size_t w = 0; w < workers; ++w) {
    const auto us = [&](std::uint64_t stamp) {
      return stamp > first ? 1e-3 * static_cast<double>(stamp - first) : 0.0;
    };
    result.tensor.push_back(us(read[stamps_each * w + 1]));
    result.gather.push_back(us(read[stamps_each * w + 2]));
  }
  return result;
}

}  // namespace cross::driver::cuda
