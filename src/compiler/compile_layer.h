// The stages of one layer, in order: the table of contents of the compiler.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "compiler/family/family.h"
#include "compiler/select/measurer.h"
#include "cross/compile.h"
#include "cross/matrix.h"
#include "kernels/isa.h"

namespace cross::compiler {

struct LayerRequest {
  std::string name;
  MatrixView weight;
  std::vector<float> bias;  ///< [rows], or empty
};

struct LayerContext {
  const CompileOptions& options;  ///< threads resolved, tokens ascending and distinct
  const CostProfile& profile;
  kernels::Isa isa;                      ///< of CPU plans
  const GpuFamily* gpu = nullptr;        ///< of CUDA plans; nullptr: a CPU plan
  Measurer* measurer = nullptr;          ///< nullptr: predicted prices decide
  std::function<void()> release_weight;  ///< tells the loader that the weight's pages may go for now
};

/// analyse → reorder → cost → partition → select (enumerate, drop, price) → pack → measure → choose →
/// balance.
LayerPlan compile_layer(const LayerRequest& request, const LayerContext& context);

}  // namespace cross::compiler
