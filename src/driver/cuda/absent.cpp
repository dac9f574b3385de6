// The CUDA device family in a build without it.
#include "cross/error.h"
#include "driver/cuda/family.h"

namespace cross::driver::cuda {
namespace {

[[noreturn]] void absent() {
  throw DeviceError("this build has no CUDA support; build with -DCROSS_CUDA=ON or use --device cpu");
}

}  // namespace

Target open_target(int) { absent(); }
ProfileKey profile_key(int) { absent(); }
CostProfile calibrate(const CalibrateOptions&, int) { absent(); }
BenchReport bench(const Plan&, const BenchOptions&, int) { absent(); }
std::unique_ptr<LayerRunner> make_runner(const Plan&, int) { absent(); }

}  // namespace cross::driver::cuda
