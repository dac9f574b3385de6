#include "driver/cuda/gpu_measurer.h"

#include <algorithm>

#include "cuda/cusparselt.h"
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

TimedLayer::TimedLayer(const LayerPlan& layer, DType dtype, const DeviceInfo& device, const Library& library)
    : plan_(layer),
      dtype_(dtype),
      copies_(copies_for(layer, device)),
      layer_(layer, dtype, device, library, copies_),
      zeroed_(layer_.zeroed_bytes(), "a workspace") {
  zeroed_.fill(0);
}

void TimedLayer::use(std::int64_t tokens) {
  tokens_ = tokens;
  const auto grow = [](DeviceBuffer& buffer, std::size_t bytes, const char* what) {
    if (buffer.size() >= bytes) return false;
    buffer = {};  // first: memory may not hold both
    buffer = DeviceBuffer(bytes, what);
    return true;
  };
  const auto bytes = [&](std::int64_t n) { return static_cast<std::size_t>(tokens * n) * size_of(dtype_); };
  // Seeded by position: fewer tokens are a prefix of more.
  if (grow(x_, bytes(plan_.cols), "activations to be timed"))
    cross::cuda::fill_random(x_, dtype_, tokens * plan_.cols, 1.0, 7);
  grow(y_, bytes(plan_.rows), "results to be timed");
  grow(scratch_, layer_.scratch_bytes(tokens), "a workspace");
  poison();  // NaN: what is never stored cannot pass a check
}

std::vector<std::byte> TimedLayer::x() const {
  std::vector<std::byte> values(static_cast<std::size_t>(tokens_ * plan_.cols) * size_of(dtype_));
  x_.download(values);
  return values;
}

std::vector<std::byte> TimedLayer::y() const {
  std::vector<std::byte> values(static_cast<std::size_t>(tokens_ * plan_.rows) * size_of(dtype_));
  y_.download(values);
  return values;
}

namespace {

std::vector<std::byte> rows_of(const DeviceBuffer& buffer, std::span<const std::int64_t> rows,
                               std::size_t row_bytes) {
  std::vector<std::byte> values(rows.size() * row_bytes);
  for (std::size_t i = 0; i < rows.size(); ++i)
    buffer.download(std::span(values).subspan(i * row_bytes, row_bytes),
                    static_cast<std::size_t>(rows[i]) * row_bytes);
  return values;
}

}  // namespace

std::vector<std::byte> TimedLayer::x_of(std::span<const std::int64_t> tokens) const {
  return rows_of(x_, tokens, static_cast<std::size_t>(plan_.cols) * size_of(dtype_));
}

std::vector<std::byte> TimedLayer::y_of(std::span<const std::int64_t> tokens) const {
  return rows_of(y_, tokens, static_cast<std::size_t>(plan_.rows) * size_of(dtype_));
}

int TimedLayer::launches() const {
  constexpr int few = 4;
  return cross::cuda::runs_long({dtype_, plan_.rows, plan_.cols, tokens_}) ? few : std::max(copies_, 16);
}

void TimedLayer::enqueue(int launch, void* stream, bool overlap) const {
  cross::cuda::RunArgs args;
  args.x = x_.data();
  args.y = y_.data();
  args.tokens = tokens_;
  args.overlap = overlap;
  layer_.run(args, {zeroed_.data(), scratch_.data()}, stream, launch % copies_);
}

cross::cuda::Times time_layer(const TimedLayer& layer, double seconds, bool sustained) {
  Replay replay(layer.launches(), [&](int launch, void* stream) { layer.enqueue(launch, stream); });
  cross::cuda::Turns turns{.seconds = seconds};
  if (sustained) turns = {.least = 2, .burst = 0.01, .settle = true};
  return cross::cuda::summary(cross::cuda::interleave({&replay}, turns)[0]);
}

namespace {

/// Median of (µs of `first`) / (µs of `second`): bursts in turn, after one of each that settles the clocks.
double gain_in_turn(Replay& first, Replay& second) {
  const auto samples =
      cross::cuda::interleave({&first, &second}, {.least = 4, .burst = 0.015, .settle = true});
  std::vector<double> ratios;
  for (std::size_t i = 0; i < samples[0].size(); ++i) ratios.push_back(samples[0][i] / samples[1][i]);
  return cross::cuda::summary(ratios).median_us;
}

}  // namespace

GpuMeasurer::GpuMeasurer(const DeviceInfo& device, int most_algorithms)
    : device_(device), most_algorithms_(most_algorithms) {
  const CurrentDevice current(device_.index);
  library_ = std::make_unique<Library>();
}

double GpuMeasurer::layer_us(const LayerPlan& layer, DType dtype, std::int64_t tokens) {
  const CurrentDevice current(device_.index);
  TimedLayer timed(layer, dtype, device_, *library_);
  timed.use(tokens);
  return time_layer(timed).median_us;
}

std::optional<double> GpuMeasurer::speedup(const LayerPlan& layer, DType dtype, std::int64_t tokens,
                                           const std::string&) {
  const cross::cuda::DenseProblem problem{dtype, layer.rows, layer.cols, tokens};
  if (!cross::cuda::runs_long(problem)) return std::nullopt;
  const CurrentDevice current(device_.index);
  const std::string algorithm = dense({}, dtype, layer.rows, layer.cols, false, tokens).algorithm;
  const auto product =
      cross::cuda::DenseProduct::make(*library_, problem, cross::cuda::Fused::nothing, nullptr, algorithm);
  if (product == nullptr) return std::nullopt;
  TimedLayer timed(layer, dtype, device_, *library_);
  timed.use(tokens);
  const cross::cuda::DenseBench bench(problem, device_, 1 - layer.sparsity());
  Replay dense_replay(bench.launches(),
                      [&](int launch, void* stream) { bench.enqueue(*product, launch, stream); });
  Replay layer_replay(timed.launches(), [&](int launch, void* stream) { timed.enqueue(launch, stream); });
  return gain_in_turn(dense_replay, layer_replay);
}

std::optional<compiler::StructureMeasurement> GpuMeasurer::sparse_library(const LayerPlan& layer, DType dtype,
                                                                          std::int64_t tokens) {
  // Below, our own kernels read the plan's copy faster than the library its own.
  const Packing& packing = layer.packings.at(0);
  if (tokens < cross::cuda::sparse_library_least_tokens || !layer.bias.empty() || packing.dense() ||
      packing.panels.at(0).segments.at(0).format != Format::two_four)
    return std::nullopt;
  const CurrentDevice current(device_.index);
  if (!library_->sparse().here()) return std::nullopt;
  std::string& algorithm = sparse_algorithms_[{dtype, layer.rows, layer.cols, tokens}];
  LayerPlan changed = layer;
  Variant variant;
  variant.tokens = tokens;
  variant.shape = cross::cuda::sparse_library_shape;
  variant.algorithm = algorithm;
  changed.variants = {variant};
  TimedLayer theirs(changed, dtype, device_, *library_);
  algorithm = theirs.layer().sparse_algorithm(tokens);
  if (algorithm.empty()) return std::nullopt;
  theirs.use(tokens);
  TimedLayer ours(layer, dtype, device_, *library_);
  ours.use(tokens);
  Replay our_replay(ours.launches(), [&](int launch, void* stream) { ours.enqueue(launch, stream); });
  Replay their_replay(theirs.launches(), [&](int launch, void* stream) { theirs.enqueue(launch, stream); });
  return compiler::StructureMeasurement{gain_in_turn(our_replay, their_replay), algorithm};
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
