#include "driver/layer_runner.h"

#include <fmt/format.h>

#include "cross/error.h"
#include "driver/cuda/family.h"
#include "driver/measure.h"

namespace cross::driver {
namespace {

class CpuRunner final : public LayerRunner {
 public:
  CpuRunner(const Plan& plan, int threads)
      : executor_(make_openmp_executor(threads)), session_(plan, *executor_) {}

  void run(std::size_t layer, const RunArgs& args) override {
    RunArgs with_workspace = args;
    with_workspace.workspace = workspace_.get(session_.workspace_bytes(layer, args.tokens));
    session_.run(layer, with_workspace);
  }

 private:
  std::unique_ptr<Executor> executor_;
  Session session_;
  AlignedBuffer workspace_;
};

}  // namespace

DeviceId device_for(const Plan& plan, const std::string& device) {
  if (device.empty()) return parse_device(plan.device);
  const DeviceId id = parse_device(device);
  if (id.family != plan.device)
    throw UsageError(fmt::format("--device {}: the plan is for {}; compile the model again with --device {}",
                                 device, plan.device, device));
  return id;
}

std::unique_ptr<LayerRunner> make_runner(const Plan& plan, const std::string& device, int threads) {
  const DeviceId id = device_for(plan, device);
  if (id.cuda()) return cuda::make_runner(plan, id.index);
  return std::make_unique<CpuRunner>(plan, threads);
}

}  // namespace cross::driver
