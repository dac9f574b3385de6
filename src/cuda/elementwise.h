// The epilogue of products that cuBLASLt could not finish itself.
#pragma once

#include <cstdint>

#include "cross/dtype.h"
#include "cross/epilogue.h"

namespace cross::cuda {

/// y = activation(acc + bias) + residual; all addresses on the device.
struct ElementwiseArgs {
  const float* acc = nullptr;      ///< [tokens, rows]
  const float* bias = nullptr;     ///< [rows], or nullptr
  const void* residual = nullptr;  ///< [tokens, rows] in dtype, or nullptr; may be y
  void* y = nullptr;               ///< [tokens, rows] in dtype
  DType dtype = DType::bf16;
  Activation activation = Activation::none;
  std::int64_t rows = 0, tokens = 0;
};

void enqueue_elementwise(const ElementwiseArgs& args, void* stream);

}  // namespace cross::cuda
