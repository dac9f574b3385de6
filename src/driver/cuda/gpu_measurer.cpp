#include "driver/cuda/gpu_measurer.h"

#include <algorithm>

#include "cuda/device.h"
#include "cuda/random.h"

namespace cross::driver::cuda {

using cross::cuda::copies_beyond_cache;
using cross::cuda::CurrentDevice;
using cross::cuda::DeviceBuffer;
using cross::cuda::DeviceInfo;
using cross::cuda::Library;
using cross::cuda::Replay;

namespace {

/// The smallest copy decides: every packing is stored as often.
int copies_for(const LayerPlan& layer, const DeviceInfo& device) {
  std::size_t least = ~std::size_t{0};
  for (const Packing& packing : layer.packings) least = std::min(least, packing.data.bytes.size());
  return copies_beyond_cache(least, device.l2_bytes);
}

}  // namespace

TimedLayer::TimedLayer(const LayerPlan& layer, DType dtype, std::int64_t tokens, const DeviceInfo& device,
                       const Library& library)
    : copies_(copies_for(layer, device)),
      tokens_(tokens),
      layer_(layer, dtype, device, library, copies_),
      x_(static_cast<std::size_t>(tokens * layer.cols) * size_of(dtype), "activations to be timed"),
      y_(static_cast<std::size_t>(tokens * layer.rows) * size_of(dtype), "results to be timed"),
      zeroed_(layer_.zeroed_bytes(), "a workspace"),
      scratch_(layer_.scratch_bytes(tokens), "a workspace") {
  cross::cuda::fill_random(x_, dtype, tokens * layer.cols, 1.0, 7);
  y_.fill(0xff);  // NaN: what is never stored cannot pass a check
  zeroed_.fill(0);
}

int TimedLayer::launches() const { return std::max(copies_, 16); }

void TimedLayer::enqueue(int launch, void* stream, bool overlap) const {
  cross::cuda::RunArgs args;
  args.x = x_.data();
  args.y = y_.data();
  args.tokens = tokens_;
  args.overlap = overlap;
  layer_.run(args, {zeroed_.data(), scratch_.data()}, stream, launch % copies_);
}

GpuMeasurer::GpuMeasurer(const DeviceInfo& device, int most_algorithms)
    : device_(device), most_algorithms_(most_algorithms) {
  const CurrentDevice current(device_.index);
  library_ = std::make_unique<Library>();
}

cross::cuda::Times GpuMeasurer::time_layer(const LayerPlan& layer, DType dtype, std::int64_t tokens,
                                           double seconds) {
  const CurrentDevice current(device_.index);
  const TimedLayer timed(layer, dtype, tokens, device_, *library_);
  Replay replay(timed.launches(), [&](int launch, void* stream) { timed.enqueue(launch, stream); });
  return cross::cuda::summary(cross::cuda::interleave({&replay}, seconds)[0]);
}

compiler::DenseMeasurement GpuMeasurer::dense(const std::string&, DType dtype, std::int64_t rows,
                                              std::int64_t cols, bool, std::int64_t tokens) {
  const auto key = std::make_tuple(dtype, rows, cols, tokens);
  if (const auto found = dense_.find(key); found != dense_.end()) return found->second;
  const CurrentDevice current(device_.index);
  const cross::cuda::DenseBench bench({dtype, rows, cols, tokens}, device_);
  const auto best = cross::cuda::best_algorithm(*library_, bench, most_algorithms_);
  return dense_[key] = {best.us, best.product->algorithm()};
}

}  // namespace cross::driver::cuda
