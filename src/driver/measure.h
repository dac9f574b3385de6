// Times layers and dense products on this machine: the compiler's Measurer, built on the runtime.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "base/aligned_buffer.h"
#include "compiler/select/measurer.h"
#include "cross/executor.h"
#include "cross/session.h"
#include "driver/machine.h"

namespace cross::driver {

using base::AlignedBuffer;

/// Activations for timing and checking: deterministic, standard-normal-like, in the plan's dtype.
std::vector<std::byte> make_activations(DType dtype, std::int64_t tokens, std::int64_t cols,
                                        std::uint64_t seed = 1);

/// Busy times of the session's workers, means over a few calls of `run`, `before` in front of each.
compiler::WorkerMeasurement measure_workers(Session& session, const std::function<void()>& before,
                                            const std::function<void()>& run);

/// Measures on the executor's threads. Dense products are measured once per shape and remembered: layers of
/// one model repeat shapes.
class MachineMeasurer final : public compiler::Measurer {
 public:
  explicit MachineMeasurer(Executor& executor) : executor_(executor) {}
  std::vector<std::string> libraries() const override;
  double layer_us(const LayerPlan& layer, DType dtype, std::int64_t tokens) override {
    return time_layer(layer, dtype, tokens).median_us;
  }
  std::optional<double> speedup(const LayerPlan& layer, DType dtype, std::int64_t tokens,
                                const std::string& library) override;
  compiler::WorkerMeasurement worker_loads(const LayerPlan& layer, DType dtype, std::int64_t tokens) override;
  /// Forgets the dense times remembered so far.
  void forget() { dense_.clear(); }
  Timing time_layer(const LayerPlan& layer, DType dtype, std::int64_t tokens);
  compiler::DenseMeasurement dense(const std::string& library, DType dtype, std::int64_t rows,
                                   std::int64_t cols, bool bias, std::int64_t tokens) override;

 private:
  /// One layer, ready to run with cold weights.
  class Run;
  /// The same through a dense library.
  class DenseRun;
  Executor& executor_;
  AlignedBuffer workspace_;
  std::map<std::tuple<std::string, DType, std::int64_t, std::int64_t, bool, std::int64_t>, double> dense_;
};

}  // namespace cross::driver
