// verify: does a plan hold exactly the model's weights, and does it compute their product?
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "cross/model.h"
#include "cross/plan.h"

namespace cross {

struct VerifyOptions {
  std::vector<std::int64_t> tokens;  ///< empty: those that the plan was compiled for
  int threads = 0;                   ///< 0: one per core
  std::string device;                ///< which GPU runs a CUDA plan: "cuda:1"; empty: the first
  std::uint64_t seed = 1;            ///< of the activations
  /// Called before each layer with its number and the count of layers.
  std::function<void(std::size_t, std::size_t, std::string_view)> on_step;
};

/// The plan's weights, decoded, against the model's rounded to the plan's dtype: bit for bit.
struct WeightComparison {
  std::int64_t positions = 0;                   ///< compared; several packings of a layer count each
  std::int64_t missing = 0;                     ///< kept in the model, pruned in the plan
  std::int64_t extra = 0;                       ///< pruned in the model, kept in the plan
  std::int64_t changed = 0;                     ///< kept in both, with other bits
  std::int64_t first_row = -1, first_col = -1;  ///< where the first difference is
  float got = 0, expected = 0;                  ///< there
  std::int64_t bias_differs = 0;                ///< elements of the bias that differ

  std::int64_t differing() const { return missing + extra + changed; }
};

/// One run of the layer against the product in float64 on the same rounded inputs.
struct ProductComparison {
  std::int64_t tokens = 0;
  std::int64_t rows_checked = 0;  ///< rows of W; fewer than all in large layers, spread over all row panels
  double rel_error = 0;           ///< max |y − reference| / max |reference|
  double tolerance = 0;           ///< what it may be
  bool passed = false;            ///< every element within its own bound
  std::int64_t worst_token = 0, worst_row = 0;
  double got = 0, expected = 0;  ///< of the element that uses most of its bound
};

struct LayerVerification {
  std::string name;
  std::int64_t rows = 0, cols = 0;
  WeightComparison weights;
  std::vector<ProductComparison> products;
  bool passed = false;
  std::string failure;  ///< one sentence naming position, got and expected; empty when passed
};

struct VerifyReport {
  std::vector<LayerVerification> layers;
  std::vector<std::string>
      not_in_plan;  ///< selected layers of the model that the plan does not hold: not checked

  bool passed() const;
  std::size_t failed() const;  ///< layers
};

/// Checks every layer of the plan and goes on after a failure. UsageError for token counts or threads that
/// make no sense; DeviceError if this machine cannot run the plan. Needs memory for one row panel, not for a
/// whole weight.
VerifyReport verify(const Plan& plan, const Model& model, const VerifyOptions& options = {});

}  // namespace cross
