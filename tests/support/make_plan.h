// Plans without the compiler: one layer, cut into panels and segments exactly as a test says.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cross/plan.h"
#include "support/sparse_matrix.h"

namespace cross::testing {

/// How to store and run one weight.
struct PlanRecipe {
  /// Formats that take turns over a panel's segments; Format::dense alone means the dense library.
  std::vector<Format> formats = {Format::index8};
  int keep = 0, group = 0;        ///< of n_m
  int panel_rows = 32;            ///< the last panel may be smaller
  std::int64_t segment_cols = 0;  ///< rounded up to whole K blocks; 0: one segment per panel
  std::string shape = "tile";
  std::string policy = "paired";
  std::string library = {};  ///< of a dense plan; empty: the first that this build has
  int workers = 2;           ///< of the schedule
  int item_tokens = 64;
  int scheduled_items = 2;
  bool reorder_rows = false;  ///< packed in an order other than W's
  bool bias = false;
  std::int64_t tokens = 64;  ///< of the only variant
};

/// A layer called "layer" with `weight` (fp32 or bf16, which is the plan's dtype) stored by `recipe`, in the
/// arithmetic that this CPU uses. Schedules run neighbouring items in opposite orders. Nothing is checked.
LayerPlan make_layer(const Array& weight, const PlanRecipe& recipe);
Plan make_plan(const Array& weight, const PlanRecipe& recipe);

/// The bias that make_layer gives a layer of `rows` rows.
std::vector<float> bias_of(std::int64_t rows);

}  // namespace cross::testing
