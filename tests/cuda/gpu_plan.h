// Plans for the current GPU without the compiler's choices: formats, shapes and token counts as a test says.
#pragma once

#include <memory>
#include <vector>

#include "cross/cuda.h"
#include "cross/plan.h"
#include "cuda/halves.h"
#include "cuda/memory.h"

namespace cross::testing {

struct GpuRecipe {
  Format format = Format::dense;  ///< dense: row-major, for cuBLASLt
  std::vector<std::int64_t> tokens = {8};
  std::string shape = "decode";  ///< "prefill", "expand" or "cusparselt"; dense plans have "library"
  std::vector<float> bias = {};
};

/// @param weight  bf16, fp16 or fp32
LayerPlan gpu_layer(const MatrixView& weight, const GpuRecipe& recipe);
Plan gpu_plan(const MatrixView& weight, const GpuRecipe& recipe);
inline LayerPlan gpu_layer(const Halves& weight, const GpuRecipe& recipe) {
  return gpu_layer(weight.view(), recipe);
}
inline Plan gpu_plan(const Halves& weight, const GpuRecipe& recipe) {
  return gpu_plan(weight.view(), recipe);
}

/// x, y, residual and workspace of one stream, for one layer of a session.
class SessionCall {
 public:
  SessionCall(const cuda::Session& session, std::size_t layer, const Halves& x, std::int64_t rows);
  /// Enqueues with y poisoned first (synchronously).
  void enqueue(void* stream, const cuda::RunArgs& epilogue = {});
  void enqueue_only(void* stream, const cuda::RunArgs& epilogue = {}) const;
  void set_residual(const Halves& residual);
  Halves result() const;

 private:
  const cuda::Session& session_;
  std::size_t layer_;
  DType dtype_;
  std::int64_t tokens_, rows_;
  cuda::DeviceBuffer x_, y_, residual_, workspace_;
};

}  // namespace cross::testing
