#include "cross/bench.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <memory>

#include "cross/error.h"
#include "driver/baseline.h"
#include "driver/cuda/family.h"
#include "driver/limits.h"
#include "driver/machine.h"
#include "driver/measure.h"
#include "driver/reference_product.h"
#include "kernels/dense/dense_product.h"
#include "kernels/isa.h"
#include "plan/unpack.h"

namespace cross {
namespace {

using clock = std::chrono::steady_clock;

/// Rows whose result is compared in float64; all of them for small layers.
constexpr std::int64_t checked_rows = 256;

/// What the plan runs at a token count, in a few words.
std::string kernel_text(const LayerPlan& layer, const Variant& variant) {
  if (variant.shape == "library") return "dense " + variant.library;
  std::string formats;
  for (const Panel& panel : layer.packings[static_cast<std::size_t>(variant.packing)].panels)
    for (const Segment& s : panel.segments) {
      const std::string_view name = name_of(s.format);
      if (formats.find(name) == std::string::npos)
        formats += (formats.empty() ? "" : "+") + std::string(name);
    }
  return fmt::format("{} {}", formats.empty() ? "empty" : formats, variant.shape);
}

double microseconds(const std::function<void()>& work) {
  const auto start = clock::now();
  work();
  return std::chrono::duration<double, std::micro>(clock::now() - start).count();
}

class LayerBench {
 public:
  LayerBench(const Plan& plan, std::size_t index, Session& session, Executor& executor,
             const BenchOptions& options)
      : plan_(plan),
        layer_(plan.layers[index]),
        index_(index),
        session_(session),
        executor_(executor),
        options_(options) {}

  BenchRow run(std::int64_t tokens) {
    const Variant& variant = layer_.variant_for(tokens);
    BenchRow row{.name = layer_.name,
                 .m = layer_.rows,
                 .k = layer_.cols,
                 .tokens = tokens,
                 .dtype = std::string(name_of(plan_.dtype)),
                 .sparsity = layer_.sparsity(),
                 .baseline = {},
                 .kernel = kernel_text(layer_, variant),
                 .bytes_dense = layer_.dense_bytes(plan_.dtype),
                 .bytes_plan = layer_.packed_bytes()};
    const auto x = driver::make_activations(plan_.dtype, tokens, layer_.cols, 7);
    std::vector<std::byte> y(static_cast<std::size_t>(tokens * layer_.rows) * size_of(plan_.dtype));
    RunArgs args;
    args.x = x.data();
    args.y = y.data();
    args.tokens = tokens;
    args.workspace = workspace_.get(session_.workspace_bytes(index_, tokens));
    const auto cross = [&] { session_.run(index_, args); };
    check(row, x, y, tokens, cross);
    std::vector<std::byte> dense_y(y.size());
    const auto dense = fastest_dense(row, x, dense_y, tokens);
    time_both(row, *dense, cross, x.data(), dense_y.data(), tokens);
    row.imbalance = driver::measure_workers(
                        session_, [&] { driver::drop_from_caches(session_.weights(index_, tokens)); }, cross)
                        .imbalance;
    const double seconds = row.cross_us * 1e-6;
    const auto weights = session_.weights(index_, tokens).size();
    row.gbytes_per_s = static_cast<double>(weights) / seconds * 1e-9;
    row.gflops = 2e-9 * static_cast<double>(layer_.nnz) * static_cast<double>(tokens) / seconds;
    return row;
  }

 private:
  void check(BenchRow& row, const std::vector<std::byte>& x, const std::vector<std::byte>& y,
             std::int64_t tokens, const std::function<void()>& cross) const {
    cross();
    const auto checked = driver::check_product(layer_, plan_.dtype, x.data(), y.data(), tokens, checked_rows);
    row.rel_error = checked.rel_error;
    row.tolerance = checked.tolerance;
    if (!checked.passed)
      throw VerificationError(
          fmt::format("layer {} at {} tokens: y[{}, {}] is {}, should be {}; nothing was timed", layer_.name,
                      tokens, checked.worst_token, checked.worst_row, checked.got, checked.expected));
  }

  /// The library that wins a first look; the real comparison follows.
  std::unique_ptr<kernels::DenseProduct> fastest_dense(BenchRow& row, const std::vector<std::byte>& x,
                                                       std::vector<std::byte>& y, std::int64_t tokens) {
    std::unique_ptr<kernels::DenseProduct> best;
    double best_us = 0;
    if (weights_.empty()) weights_ = unpack(layer_, layer_.packings.front(), plan_.dtype);
    for (const auto library : driver::baseline_libraries(options_.baseline)) {
      auto product =
          kernels::make_dense_product(library, {.dtype = plan_.dtype,
                                                .rows = layer_.rows,
                                                .cols = layer_.cols,
                                                .tokens = tokens,
                                                .threads = executor_.workers(),
                                                .weights = weights_.data(),
                                                .bias = layer_.bias.empty() ? nullptr : layer_.bias.data()});
      const auto timing = driver::time_cold(
          executor_, [&] { driver::drop_from_caches(product->packed()); },
          [&] { product->run(x.data(), y.data()); });
      if (best != nullptr && timing.median_us >= best_us) continue;
      best_us = timing.median_us;
      row.baseline = fmt::format("{} {}{}", name_of(library), kernels::dense_library_version(library),
                                 product->widened() ? " (fp32 on widened weights)" : "");
      best = std::move(product);
    }
    return best;
  }

  /// Interleaved, so that a change of the machine's speed meets both sides; each side's weights come from
  /// memory.
  void time_both(BenchRow& row, kernels::DenseProduct& dense, const std::function<void()>& cross,
                 const std::byte* x, std::byte* y, std::int64_t tokens) {
    constexpr std::size_t least = 7, most = 101;
    std::vector<double> dense_us, cross_us, ratios;
    const auto start = clock::now();
    const auto spent = [&] { return std::chrono::duration<double>(clock::now() - start).count(); };
    while (ratios.size() < least || (ratios.size() < most && spent() < options_.seconds)) {
      driver::drop_from_caches(dense.packed());
      executor_.run([](int) {});
      dense_us.push_back(microseconds([&] { dense.run(x, y); }));
      driver::drop_from_caches(session_.weights(index_, tokens));
      executor_.run([](int) {});
      cross_us.push_back(microseconds(cross));
      ratios.push_back(dense_us.back() / cross_us.back());
    }
    row.dense_us = driver::summarise(dense_us).median_us;
    row.cross_us = driver::summarise(cross_us).median_us;
    const auto ratio = driver::summarise(ratios);
    row.speedup = ratio.median_us;
    row.spread = ratio.spread;
  }

  const Plan& plan_;
  const LayerPlan& layer_;
  std::size_t index_;
  Session& session_;
  Executor& executor_;
  const BenchOptions& options_;
  driver::AlignedBuffer workspace_;
  std::vector<std::byte> weights_;  ///< dense, unpacked once per layer
};

}  // namespace

BenchReport bench(const Plan& plan, const BenchOptions& options) {
  const DeviceId device = driver::device_for(plan, options.device);
  if (device.cuda()) return driver::cuda::bench(plan, options, device.index);
  const int threads = driver::resolve_threads(options.threads);
  const auto executor = make_openmp_executor(threads);
  Session session(plan, *executor);
  BenchReport report;
  report.device =
      fmt::format("{}, {}, {} threads", kernels::cpu_name(), name_of(kernels::active_isa()), threads);
  report.memory_gbytes_per_s = driver::measure_bandwidth(*executor);
  report.peak_gflops = driver::measure_peak(*executor);

  std::vector<std::int64_t> tokens = options.tokens;
  if (tokens.empty() && !plan.layers.empty())
    for (const Variant& variant : plan.layers.front().variants) tokens.push_back(variant.tokens);
  for (const std::int64_t t : tokens) report.total.push_back({t, 0, 0, 0});
  std::size_t step = 0;
  for (std::size_t i = 0; i < plan.layers.size(); ++i) {
    LayerBench layer(plan, i, session, *executor, options);
    for (std::size_t t = 0; t < tokens.size(); ++t) {
      if (options.on_step) options.on_step(step++, plan.layers.size() * tokens.size(), plan.layers[i].name);
      BenchRow row = layer.run(tokens[t]);
      row.bandwidth_share = row.gbytes_per_s / report.memory_gbytes_per_s;
      row.peak_share = row.gflops / report.peak_gflops;
      report.total[t].dense_us += row.dense_us;
      report.total[t].cross_us += row.cross_us;
      report.layers.push_back(row);
    }
  }
  for (BenchTotal& total : report.total)
    total.speedup = total.cross_us > 0 ? total.dense_us / total.cross_us : 0;
  return report;
}

}  // namespace cross
