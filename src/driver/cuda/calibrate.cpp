// calibrate for GPUs: what every packed kernel, its expansion and cuBLASLt cost, as a + b·elements from two
// sizes.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "cross/compile.h"
#include "cuda/device.h"
#include "cuda/random.h"
#include "driver/cuda/family.h"
#include "driver/cuda/gpu_measurer.h"
#include "driver/machine.h"
#include "kernels/cuda/gpu_kernel.h"

namespace cross::driver::cuda {
namespace {

struct Size {
  std::int64_t rows, cols;
  double elements() const { return static_cast<double>(rows * cols); }
};

/// The sizes whose line prices everything else: small enough to show what a launch costs, large enough to
/// fill the GPU.
constexpr Size sizes[] = {{2048, 2048}, {8192, 4096}};

const std::vector<double> densities = {0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 1.0};
const std::vector<std::int64_t> packed_tokens = {1, 2, 4, 8, 16, 32, 64};
const std::vector<std::int64_t> dense_tokens = {1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 4096};

/// A matrix made on the GPU, because making it here would take longer than measuring.
std::vector<std::byte> make_weight(DType dtype, const Size& size, double density) {
  const std::int64_t count = size.rows * size.cols;
  std::vector<std::byte> bytes(static_cast<std::size_t>(count) * size_of(dtype));
  const cross::cuda::DeviceBuffer buffer(bytes.size(), "weights to be timed");
  cross::cuda::fill_random(buffer, dtype, count, density, 3);
  buffer.download(bytes);
  return bytes;
}

class Calibration {
 public:
  Calibration(const CalibrateOptions& options, const cross::cuda::DeviceInfo& device)
      : options_(options), threads_(resolve_threads(options.threads)), measurer_(device), device_(device) {}

  CostProfile run(const ProfileKey& key) {
    profile_.key = key;
    profile_.source = "measured on this machine";
    for (const Format format : gpu_formats) {
      const auto* kernel = kernels::cuda::gpu_kernel_for(format, device_.major, device_.minor);
      if (kernel != nullptr) measure_format(*kernel);
    }
    measure_dense(DType::bf16, "mma");
    if (!options_.quick) measure_dense(DType::fp32, "fp32");
    return std::move(profile_);
  }

 private:
  /// Times of one kernel at one token count: per density, one per size.
  using Samples = std::map<double, std::vector<cross::cuda::Times>>;

  void step(const std::string& what) {
    const std::size_t formats = std::size(gpu_formats);
    const std::size_t steps = formats * masks().size() + 2;
    if (options_.on_step) options_.on_step(std::min(step_++, steps - 1), steps, what);
  }

  std::vector<double> masks() const {
    if (!options_.quick) return densities;
    return {0.05, 0.2, 0.5, 1.0};
  }

  bool wanted(std::int64_t tokens) const {
    return !options_.quick || tokens == 1 || tokens == 8 || tokens == 64;
  }

  void measure_format(const kernels::cuda::GpuKernel& kernel) {
    std::map<std::int64_t, Samples> decode;
    Samples expand;
    for (const double density : masks()) {
      step(fmt::format("{} at density {}", kernel.id(), density));
      for (const Size& size : sizes) {
        LayerPlan layer = pack(kernel.format, size, density);
        if (layer.packings.empty()) continue;
        for (const std::int64_t tokens : packed_tokens)
          if (tokens <= kernel.max_tokens && wanted(tokens))
            decode[tokens][density].push_back(time(layer, tokens, "decode"));
        // What a run by expansion costs beyond its dense product.
        const auto whole = time(layer, 1, "expand");
        const double dense = measurer_.dense("cublaslt", dtype, size.rows, size.cols, false, 1).us;
        expand[density].push_back({std::max(whole.median_us - dense, 0.1), whole.spread});
      }
    }
    for (const auto& [tokens, samples] : decode)
      add_curve(fmt::format("{}.decode", name_of(kernel.format)), "mma", tokens, samples);
    if (!expand.empty()) add_curve(fmt::format("{}.expand", name_of(kernel.format)), "mma", 1, expand);
  }

  cross::cuda::Times time(LayerPlan& layer, std::int64_t tokens, const char* shape) {
    Variant& variant = layer.variants[0];
    variant.tokens = tokens;
    variant.shape = shape;
    variant.library = variant.shape == "expand" ? "cublaslt" : "";
    variant.algorithm =
        variant.shape == "expand"
            ? measurer_.dense("cublaslt", dtype, layer.rows, layer.cols, false, tokens).algorithm
            : "";
    return measurer_.time_layer(layer, dtype, tokens, options_.quick ? 0.0 : 0.004);
  }

  LayerPlan pack(Format format, const Size& size, double density) {
    const auto bytes = make_weight(dtype, size, density);
    const MatrixView weight{dtype, size.rows, size.cols, bytes.data()};
    LayerPlan layer;
    layer.rows = size.rows;
    layer.cols = size.cols;
    if (!compiler::gpu_format_refuses(weight, dtype, format).empty()) return layer;
    CompileOptions options;
    options.dtype = dtype;
    options.threads = threads_;
    const compiler::GpuFamily gpu{{device_.sms, device_.shared_bytes}, {}};
    compiler::LayoutCandidate candidate;
    candidate.layout.panels.push_back({0, static_cast<int>(size.rows), {{format, 0, size.cols, 0, 0, 0, 0}}});
    layer.packings.push_back(
        compiler::make_gpu_family({weight, options, profile_}, gpu)->pack(candidate, layer.nnz));
    layer.variants.emplace_back();
    return layer;
  }

  void measure_dense(DType type, const char* arithmetic) {
    step(fmt::format("cublaslt {}", name_of(type)));
    for (const std::int64_t tokens : dense_tokens) {
      if (!wanted(tokens)) continue;
      Samples samples;
      for (const Size& size : sizes)
        samples[1.0].push_back(
            {measurer_.dense("cublaslt", type, size.rows, size.cols, false, tokens).us, 0.01});
      add_curve("dense.cublaslt", arithmetic, tokens, samples);
    }
  }

  /// time = a + b(density)·elements: b from the two sizes, a the median over densities, so that one bad point
  /// does not tilt its neighbours.
  void add_curve(const std::string& kernel, const char* arithmetic, std::int64_t tokens,
                 const Samples& samples) {
    PriceCurve curve{kernel, arithmetic, tokens, 0, {}};
    std::vector<double> fixed;
    for (const auto& [density, times] : samples) {
      const double slope =
          (times[1].median_us - times[0].median_us) / (sizes[1].elements() - sizes[0].elements());
      fixed.push_back(std::clamp(times[0].median_us - slope * sizes[0].elements(), 0.0, times[0].median_us));
    }
    std::sort(fixed.begin(), fixed.end());
    curve.fixed_us = fixed[fixed.size() / 2];
    for (const auto& [density, times] : samples)
      curve.points.push_back({density,
                              1000 * std::max(times[1].median_us - curve.fixed_us, 0.0) / sizes[1].elements(),
                              std::max(times[0].spread, times[1].spread)});
    profile_.curves.push_back(std::move(curve));
  }

  static constexpr DType dtype = DType::bf16;  ///< fp16 takes the same time
  const CalibrateOptions& options_;
  int threads_;
  GpuMeasurer measurer_;
  const cross::cuda::DeviceInfo& device_;
  CostProfile profile_;
  std::size_t step_ = 0;
};

}  // namespace

CostProfile calibrate(const CalibrateOptions& options, int index) {
  const cross::cuda::DeviceInfo device = cross::cuda::require_device(index);
  const cross::cuda::CurrentDevice current(index);
  return Calibration(options, device).run(profile_key(index));
}

}  // namespace cross::driver::cuda
