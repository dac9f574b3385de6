// The CUDA device family in a build without it.
#include "cross/cuda.h"
#include "cross/error.h"

namespace cross::cuda {
namespace {

[[noreturn]] void absent() {
  throw DeviceError("this build has no CUDA support; build with -DCROSS_CUDA=ON or use --device cpu");
}

}  // namespace

struct Session::Impl {};
struct DeviceMemory::Impl {};

std::vector<DeviceInfo> devices() { return {}; }
DeviceInfo require_device(int) { absent(); }
Session::Session(const Plan&, int) { absent(); }
Session::Session(const Plan&, int, const PlanImage&) { absent(); }
Session::~Session() = default;
Session::Session(Session&&) noexcept = default;
std::size_t Session::workspace_bytes(std::size_t, std::int64_t) const { absent(); }
void Session::prepare_workspace(void*, std::size_t, void*) const { absent(); }
void Session::run(std::size_t, const RunArgs&, void*) const { absent(); }
void Session::prepare(std::size_t, const RunArgs&) const { absent(); }
std::string Session::kernel(std::size_t, std::int64_t) const { absent(); }
const DeviceInfo& Session::device() const { absent(); }
std::size_t Session::device_bytes() const { absent(); }
DeviceMemory::DeviceMemory(std::size_t, int) { absent(); }
DeviceMemory::~DeviceMemory() = default;
DeviceMemory::DeviceMemory(DeviceMemory&&) noexcept = default;
void* DeviceMemory::data() const { absent(); }
std::size_t DeviceMemory::size() const { absent(); }

}  // namespace cross::cuda
