// A CUDA plan on host buffers: copies there and back, for verify and run.
#include "cross/cuda.h"
#include "cuda/device.h"
#include "cuda/memory.h"
#include "driver/cuda/family.h"

namespace cross::driver::cuda {
namespace {

using cross::cuda::DeviceBuffer;

class GpuRunner final : public LayerRunner {
 public:
  GpuRunner(const Plan& plan, int index) : plan_(plan), index_(index), session_(plan, index) {}

  void run(std::size_t index, const RunArgs& host) override {
    if (host.tokens <= 0) return;
    const cross::cuda::CurrentDevice current(index_);
    const cross::cuda::Stream stream;
    const LayerPlan& layer = plan_.layers.at(index);
    const std::size_t size = size_of(plan_.dtype);
    const auto tokens = static_cast<std::size_t>(host.tokens);
    const std::size_t x_bytes = tokens * static_cast<std::size_t>(layer.cols) * size;
    const std::size_t y_bytes = tokens * static_cast<std::size_t>(layer.rows) * size;
    const DeviceBuffer x(x_bytes, "activations"), y(y_bytes, "results");
    const DeviceBuffer residual(host.residual != nullptr ? y_bytes : 0, "a residual");
    const DeviceBuffer workspace(session_.workspace_bytes(index, host.tokens), "a workspace");
    x.upload({static_cast<const std::byte*>(host.x), x_bytes});
    y.fill(0xff);  // NaN: what is never stored cannot pass a check
    if (host.residual != nullptr) residual.upload({static_cast<const std::byte*>(host.residual), y_bytes});
    session_.prepare_workspace(workspace.data(), workspace.size(), stream.get());
    cross::cuda::RunArgs args;
    args.x = x.data();
    args.y = y.data();
    args.tokens = host.tokens;
    args.residual = host.residual != nullptr ? residual.data() : nullptr;
    args.activation = host.activation;
    args.bias = host.bias;
    args.workspace = workspace.data();
    args.workspace_bytes = workspace.size();
    session_.run(index, args, stream.get());
    stream.wait();
    y.download({static_cast<std::byte*>(host.y), y_bytes});
  }

 private:
  const Plan& plan_;
  int index_;
  cross::cuda::Session session_;
};

}  // namespace

std::unique_ptr<LayerRunner> make_runner(const Plan& plan, int index) {
  return std::make_unique<GpuRunner>(plan, index);
}

}  // namespace cross::driver::cuda
