// What bench_iid measured, as tables, against the speed-ups that the project set itself as targets.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cross/bench.h"
#include "cross/dtype.h"

namespace cross_bench {

struct Shape {
  std::int64_t rows = 0, cols = 0;
  friend bool operator==(const Shape&, const Shape&) = default;
};

std::string text_of(const Shape& shape);  ///< "768x768"

/// One matrix at one token count.
struct Measurement {
  cross::DType dtype = cross::DType::fp32;
  Shape shape;
  double asked_sparsity = 0;  ///< probability that a position of the mask is zero
  cross::BenchRow row;
};

/// The speed-up that the plan should reach as a geometric mean over `shapes`.
struct Target {
  double speedup = 0;
  std::vector<Shape> shapes;
};

/// nullopt where there is no target. From a sparsity's own target down to 0.97 for those that promise only
/// "never slower than dense".
std::optional<Target> target_for(cross::DType dtype, std::int64_t tokens, double sparsity);

/// One table per dtype and token count: speed-ups by shape and sparsity, geometric means, targets, what is
/// missed.
std::string report(const std::vector<Measurement>& measurements);

}  // namespace cross_bench
