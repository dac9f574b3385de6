#include "driver/measure.h"

#include <algorithm>
#include <chrono>
#include <numeric>

#include "base/normal_source.h"
#include "cross/error.h"
#include "kernels/dense/dense_product.h"

namespace cross::driver {

std::vector<std::byte> make_activations(DType dtype, std::int64_t tokens, std::int64_t cols,
                                        std::uint64_t seed) {
  std::vector<std::byte> x(static_cast<std::size_t>(tokens * cols) * size_of(dtype));
  base::NormalSource normal(seed);
  // A period that no power-of-two stride divides is random enough, and drawing millions of values takes
  // longer than the products to be timed.
  float period[1021];
  for (float& value : period) value = normal.next();
  for (std::int64_t i = 0; i < tokens * cols; ++i) {
    const float value = period[i % 1021];
    if (dtype == DType::fp32)
      reinterpret_cast<float*>(x.data())[i] = value;
    else
      reinterpret_cast<std::uint16_t*>(x.data())[i] =
          static_cast<std::uint16_t>(bits_from_float(value, dtype));
  }
  return x;
}

std::vector<std::string> MachineMeasurer::libraries() const {
  std::vector<std::string> names;
  for (const auto library : kernels::require_dense_libraries()) names.emplace_back(name_of(library));
  return names;
}

namespace {

/// Compiling must not take much longer than reading the weights: few repetitions of long products.
constexpr TimingOptions while_compiling = {.least = 3, .most = 25, .seconds = 0.03};

}  // namespace

compiler::WorkerMeasurement measure_workers(Session& session, const std::function<void()>& before,
                                            const std::function<void()>& run) {
  constexpr int runs = 5;
  compiler::WorkerMeasurement result;
  session.measure_workers(true);
  for (int i = 0; i < runs; ++i) {
    before();
    run();
    const auto seconds = session.worker_seconds();
    const double mean =
        std::accumulate(seconds.begin(), seconds.end(), 0.0) / static_cast<double>(seconds.size());
    if (!(mean > 0)) continue;
    result.imbalance += *std::max_element(seconds.begin(), seconds.end()) / mean / runs;
    result.loads.resize(seconds.size());
    for (std::size_t w = 0; w < seconds.size(); ++w) result.loads[w] += seconds[w] / mean / runs;
  }
  session.measure_workers(false);
  return result;
}

class MachineMeasurer::Run {
 public:
  Run(MachineMeasurer& machine, const LayerPlan& layer, DType dtype, std::int64_t tokens)
      : plan_(plan_of(layer, dtype)),
        session_(plan_, machine.executor_),
        x_(make_activations(dtype, tokens, layer.cols)),
        y_(static_cast<std::size_t>(tokens * layer.rows) * size_of(dtype)) {
    args_.x = x_.data();
    args_.y = y_.data();
    args_.tokens = tokens;
    args_.workspace = machine.workspace_.get(session_.workspace_bytes(0, tokens));
  }
  void run() { session_.run(0, args_); }
  void cool() { drop_from_caches(session_.weights(0, args_.tokens)); }
  Session& session() { return session_; }

 private:
  static Plan plan_of(const LayerPlan& layer, DType dtype) {
    Plan plan;
    plan.dtype = dtype;
    plan.layers.push_back(layer);
    return plan;
  }
  Plan plan_;
  Session session_;
  std::vector<std::byte> x_, y_;
  RunArgs args_;
};

Timing MachineMeasurer::time_layer(const LayerPlan& layer, DType dtype, std::int64_t tokens) {
  Run run(*this, layer, dtype, tokens);
  return time_cold(
      executor_, [&] { run.cool(); }, [&] { run.run(); }, while_compiling);
}

compiler::WorkerMeasurement MachineMeasurer::worker_loads(const LayerPlan& layer, DType dtype,
                                                          std::int64_t tokens) {
  Run run(*this, layer, dtype, tokens);
  return measure_workers(
      run.session(), [&] { run.cool(); }, [&] { run.run(); });
}

class MachineMeasurer::DenseRun {
 public:
  DenseRun(MachineMeasurer& machine, const std::string& library, DType dtype, std::int64_t rows,
           std::int64_t cols, bool bias, std::int64_t tokens)
      : bias_(bias ? static_cast<std::size_t>(rows) : 0),
        x_(make_activations(dtype, tokens, cols)),
        y_(static_cast<std::size_t>(tokens * rows) * size_of(dtype)) {
    const auto which = kernels::dense_library_from_name(library);
    if (!which) throw InternalError("measure: unknown dense library " + library);
    product_ = kernels::make_dense_product(*which, {.dtype = dtype,
                                                    .rows = rows,
                                                    .cols = cols,
                                                    .tokens = tokens,
                                                    .threads = machine.executor_.workers(),
                                                    .weights = nullptr,
                                                    .bias = bias ? bias_.data() : nullptr});
  }
  void run() { product_->run(x_.data(), y_.data()); }
  void cool() { drop_from_caches(product_->packed()); }

 private:
  std::vector<float> bias_;
  std::vector<std::byte> x_, y_;
  std::unique_ptr<kernels::DenseProduct> product_;
};

compiler::DenseMeasurement MachineMeasurer::dense(const std::string& library, DType dtype, std::int64_t rows,
                                                  std::int64_t cols, bool bias, std::int64_t tokens) {
  const auto key = std::make_tuple(library, dtype, rows, cols, bias, tokens);
  if (const auto found = dense_.find(key); found != dense_.end()) return {found->second, {}};
  DenseRun run(*this, library, dtype, rows, cols, bias, tokens);
  const Timing timing = time_cold(
      executor_, [&] { run.cool(); }, [&] { run.run(); }, while_compiling);
  dense_[key] = timing.median_us;
  return {timing.median_us, {}};
}

std::optional<double> MachineMeasurer::speedup(const LayerPlan& layer, DType dtype, std::int64_t tokens,
                                               const std::string& library) {
  using clock = std::chrono::steady_clock;
  constexpr std::size_t least = 5, most = 25;
  constexpr double seconds = 0.1;
  Run sparse(*this, layer, dtype, tokens);
  DenseRun dense(*this, library, dtype, layer.rows, layer.cols, !layer.bias.empty(), tokens);
  const auto once = [&](auto& product) {
    product.cool();
    executor_.run([](int) {});
    const auto begin = clock::now();
    product.run();
    return std::chrono::duration<double, std::micro>(clock::now() - begin).count();
  };
  once(dense), once(sparse);  // warm up
  std::vector<double> ratios;
  const auto start = clock::now();
  while (ratios.size() < least ||
         (ratios.size() < most && std::chrono::duration<double>(clock::now() - start).count() < seconds)) {
    const double dense_us = once(dense);
    ratios.push_back(dense_us / once(sparse));
  }
  return summarise(ratios).median_us;
}

}  // namespace cross::driver
