// The device as the compiler sees it: something that can be timed. Implemented by the driver on top of the
// runtime, which the compiler must not know.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cross/plan.h"

namespace cross::compiler {

/// A product through a library.
struct DenseMeasurement {
  double us = 0;          ///< median
  std::string algorithm;  ///< the fastest, where the library lets its caller choose
};

/// A product through a library for the weight's structure, beside the layer's own kernel.
struct StructureMeasurement {
  double gain = 0;        ///< median of (µs of the layer) / (µs through the library), the two run in turn
  std::string algorithm;  ///< the fastest
};

/// How evenly the workers are busy.
struct WorkerMeasurement {
  double imbalance = 0;       ///< max / mean busy time; 0 where workers cannot be told apart
  std::vector<double> loads;  ///< busy time of each worker over the mean
};

class Measurer {
 public:
  virtual ~Measurer() = default;
  /// Names of the dense libraries of this build.
  virtual std::vector<std::string> libraries() const = 0;
  /// Median µs of y = x·Wᵀ + bias for `layer` at `tokens`, weights dropped from the caches before each
  /// repetition.
  virtual double layer_us(const LayerPlan& layer, DType dtype, std::int64_t tokens) = 0;
  /// Median of (µs through `library`) / (µs of `layer`), the two run in turn, so that a machine's slow phases
  /// meet both: for close calls. nullopt where single times are as sure.
  virtual std::optional<double> speedup(const LayerPlan& /*layer*/, DType /*dtype*/, std::int64_t /*tokens*/,
                                        const std::string& /*library*/) {
    return std::nullopt;
  }
  /// The product of `layer`, packed once, by a library for its structure (cuSPARSELt for 2:4), which keeps
  /// weights of its own; nullopt where there is none.
  virtual std::optional<StructureMeasurement> sparse_library(const LayerPlan& /*layer*/, DType /*dtype*/,
                                                             std::int64_t /*tokens*/) {
    return std::nullopt;
  }
  /// Busy times of the workers in such runs.
  virtual WorkerMeasurement worker_loads(const LayerPlan& /*layer*/, DType /*dtype*/,
                                         std::int64_t /*tokens*/) {
    return {};
  }
  /// The same through a dense library, with arbitrary weights of that shape.
  virtual DenseMeasurement dense(const std::string& library, DType dtype, std::int64_t rows,
                                 std::int64_t cols, bool bias, std::int64_t tokens) = 0;
};

}  // namespace cross::compiler
