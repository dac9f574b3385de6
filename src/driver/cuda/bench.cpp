// bench for CUDA plans: interleaved graph replays, weights from the GPU's memory, results checked first.
#include "cross/bench.h"

#include <fmt/format.h>

#include <cstring>

#include "cross/error.h"
#include "cuda/copy_bandwidth.h"
#include "cuda/device.h"
#include "driver/cuda/family.h"
#include "driver/cuda/gpu_measurer.h"
#include "driver/reference_product.h"
#include "plan/unpack.h"

namespace cross::driver::cuda {
namespace {

using cross::cuda::DenseBench;
using cross::cuda::Replay;

/// Rows whose result is compared in float64; all of them for small layers.
constexpr std::int64_t checked_rows = 256;

class LayerBench {
 public:
  LayerBench(const LayerPlan& layer, DType dtype, const GpuMeasurer& gpu, const BenchOptions& options)
      : layer_(layer), dtype_(dtype), gpu_(gpu), options_(options) {}

  BenchRow run(std::int64_t tokens, double bandwidth) {
    TimedLayer cross(layer_, dtype_, gpu_.device(), gpu_.library());
    cross.use(tokens);
    BenchRow row{.name = layer_.name,
                 .m = layer_.rows,
                 .k = layer_.cols,
                 .tokens = tokens,
                 .dtype = std::string(name_of(dtype_)),
                 .sparsity = layer_.sparsity(),
                 .baseline = {},
                 .kernel = cross.layer().kernel(tokens),
                 .bytes_dense = layer_.dense_bytes(dtype_),
                 .bytes_plan = layer_.packed_bytes()};
    check(row, cross, tokens);
    DenseBench dense({dtype_, layer_.rows, layer_.cols, tokens}, gpu_.device());
    dense.fill(unpack(layer_, layer_.packings.front(), dtype_), cross.x());
    const auto best = cross::cuda::best_algorithm(gpu_.library(), dense, 32, cross::cuda::PartialSums::any);
    row.baseline = fmt::format("cublaslt {}, best of {}", cross::cuda::library_version(), best.tried);
    Replay dense_replay(std::max(dense.copies(), 16),
                        [&](int launch, void* stream) { dense.enqueue(*best.product, launch, stream); });
    Replay cross_replay(cross.launches(), [&](int launch, void* stream) { cross.enqueue(launch, stream); });
    cross::cuda::Turns turns = cross::cuda::sampled(cross::cuda::sample_seconds(tokens));
    turns.seconds = options_.seconds;
    const auto samples = cross::cuda::interleave({&dense_replay, &cross_replay}, turns);
    std::vector<double> ratios;
    for (std::size_t i = 0; i < samples[0].size(); ++i) ratios.push_back(samples[0][i] / samples[1][i]);
    row.dense_us = cross::cuda::summary(samples[0]).median_us;
    row.cross_us = cross::cuda::summary(samples[1]).median_us;
    const auto ratio = cross::cuda::summary(ratios);
    row.speedup = ratio.median_us;
    row.spread = ratio.spread;
    row.gbytes_per_s = static_cast<double>(cross.layer().weight_bytes(tokens)) / row.cross_us * 1e-3;
    row.gflops = 2e-3 * static_cast<double>(layer_.nnz) * static_cast<double>(tokens) / row.cross_us;
    row.bandwidth_share = row.gbytes_per_s / bandwidth;
    return row;
  }

 private:
  void check(BenchRow& row, const TimedLayer& cross, std::int64_t tokens) const {
    const cross::cuda::Stream stream;
    // Bias or not, and whatever a run leaves in its workspace: the second run must be as good as the first.
    for (int repetition = 0; repetition < 2; ++repetition) {
      cross.poison();
      cross.enqueue(repetition, stream.get());
      stream.wait();
      const auto x = cross.x();
      const auto y = cross.y();
      const auto checked = check_product(layer_, dtype_, x.data(), y.data(), tokens, checked_rows);
      row.rel_error = checked.rel_error;
      row.tolerance = checked.tolerance;
      if (!checked.passed)
        throw VerificationError(fmt::format(
            "layer {} at {} tokens by {}: y[{}, {}] is {}, should be {}; nothing was timed", layer_.name,
            tokens, row.kernel, checked.worst_token, checked.worst_row, checked.got, checked.expected));
    }
  }

  const LayerPlan& layer_;
  DType dtype_;
  const GpuMeasurer& gpu_;
  const BenchOptions& options_;
};

}  // namespace

BenchReport bench(const Plan& plan, const BenchOptions& options, int index) {
  if (options.baseline != "best" && options.baseline != "cublaslt")
    throw UsageError(
        fmt::format("baseline \"{}\" is not for CUDA plans; it can be best or cublaslt", options.baseline));
  const cross::cuda::DeviceInfo device = cross::cuda::require_device(index);
  const cross::cuda::CurrentDevice current(index);
  const GpuMeasurer gpu(device);
  BenchReport report;
  report.device = fmt::format("cuda:{} {}, sm{}, {} SMs, driver {}.{}", index, device.name, device.sm(),
                              device.sms, device.driver / 1000, device.driver % 1000 / 10);
  report.memory_gbytes_per_s = cross::cuda::copy_bandwidth(device);

  std::vector<std::int64_t> tokens = options.tokens;
  if (tokens.empty() && !plan.layers.empty())
    for (const Variant& variant : plan.layers.front().variants) tokens.push_back(variant.tokens);
  for (const std::int64_t t : tokens) report.total.push_back({t, 0, 0, 0});
  std::size_t step = 0;
  for (const LayerPlan& layer : plan.layers)
    for (std::size_t t = 0; t < tokens.size(); ++t) {
      if (options.on_step) options.on_step(step++, plan.layers.size() * tokens.size(), layer.name);
      const BenchRow row =
          LayerBench(layer, plan.dtype, gpu, options).run(tokens[t], report.memory_gbytes_per_s);
      report.total[t].dense_us += row.dense_us;
      report.total[t].cross_us += row.cross_us;
      report.layers.push_back(row);
    }
  for (BenchTotal& total : report.total)
    total.speedup = total.cross_us > 0 ? total.dense_us / total.cross_us : 0;
  return report;
}

}  // namespace cross::driver::cuda
