#include <cuda_runtime_api.h>
#include <fmt/format.h>

#include <algorithm>

#include "cross/error.h"
#include "cuda/device.h"
#include "cuda/error.h"
#include "cuda/layer.h"

namespace cross::cuda {
namespace {

bool aligned(const void* address, std::uintptr_t to) {
  return reinterpret_cast<std::uintptr_t>(address) % to == 0;
}

const Plan& checked(const Plan& plan) {
  if (plan.device != "cuda")
    throw UsageError(fmt::format("the plan is for device {}; compile it with --device cuda", plan.device));
  return plan;
}

}  // namespace

struct Session::Impl {
  const Plan& plan;
  DeviceInfo device;
  std::unique_ptr<Library> library;
  std::vector<std::unique_ptr<Layer>> layers;
  std::size_t zeroed = 0;  ///< most of any layer

  Impl(const Plan& given, int index, const PlanImage& image)
      : plan(checked(given)), device(require_device(index)) {
    const CurrentDevice current(index);
    library = std::make_unique<Library>();
    for (const LayerPlan& layer : plan.layers) {
      layers.push_back(std::make_unique<Layer>(layer, plan.dtype, device, *library, 1, image));
      zeroed = std::max(zeroed, layers.back()->zeroed_bytes());
    }
  }

  const Layer& layer(std::size_t index) const {
    if (index >= layers.size())
      throw UsageError(fmt::format("the plan has {} layers; layer {} does not exist", layers.size(), index));
    return *layers[index];
  }
};

Session::Session(const Plan& plan, int device) : Session(plan, device, {}) {}
Session::Session(const Plan& plan, int device, const PlanImage& image)
    : impl_(std::make_unique<Impl>(plan, device, image)) {}
Session::~Session() = default;
Session::Session(Session&&) noexcept = default;

std::size_t Session::workspace_bytes(std::size_t layer, std::int64_t tokens) const {
  return impl_->zeroed + impl_->layer(layer).scratch_bytes(tokens);
}

void Session::prepare_workspace(void* workspace, std::size_t bytes, void* stream) const {
  const std::size_t zeroed = std::min(bytes, impl_->zeroed);
  if (zeroed > 0)
    check(cudaMemsetAsync(workspace, 0, zeroed, static_cast<cudaStream_t>(stream)), "preparing a workspace");
}

void Session::run(std::size_t index, const RunArgs& args, void* stream) const {
  const Layer& layer = impl_->layer(index);
  if (args.tokens < 0) throw UsageError(fmt::format("tokens is {}; it must not be negative", args.tokens));
  if (args.tokens == 0) return;
  if (!aligned(args.x, 16) || !aligned(args.y, 16) || !aligned(args.residual, 16) || args.x == nullptr ||
      args.y == nullptr)
    throw UsageError("x, y and residual must be addresses on the device, aligned to 16 bytes");
  const std::size_t needed = impl_->zeroed + layer.scratch_bytes(args.tokens);
  if (args.workspace_bytes < needed || !aligned(args.workspace, 256) ||
      (needed > 0 && args.workspace == nullptr))
    throw UsageError(fmt::format("the workspace has {} bytes; this call needs {}, aligned to 256",
                                 args.workspace_bytes, needed));
  auto* workspace = static_cast<std::byte*>(args.workspace);
  layer.run(args, {workspace, workspace + impl_->zeroed}, stream);
}

void Session::prepare(std::size_t layer, const RunArgs& args) const { impl_->layer(layer).prepare(args); }

std::string Session::kernel(std::size_t layer, std::int64_t tokens) const {
  return impl_->layer(layer).kernel(tokens);
}

const DeviceInfo& Session::device() const { return impl_->device; }

std::size_t Session::device_bytes() const {
  std::size_t bytes = 0;
  for (const auto& layer : impl_->layers) bytes += layer->device_bytes();
  return bytes;
}

struct DeviceMemory::Impl {
  DeviceBuffer buffer;
};

DeviceMemory::DeviceMemory(std::size_t bytes, int device) {
  require_device(device);
  const CurrentDevice current(device);
  impl_ = std::make_unique<Impl>(Impl{DeviceBuffer(bytes, "a workspace")});
}
DeviceMemory::~DeviceMemory() = default;
DeviceMemory::DeviceMemory(DeviceMemory&&) noexcept = default;
void* DeviceMemory::data() const { return impl_->buffer.data(); }
std::size_t DeviceMemory::size() const { return impl_->buffer.size(); }

}  // namespace cross::cuda
