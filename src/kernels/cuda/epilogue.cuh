// y = activation(sum + bias) + residual, stored in the plan's dtype.
#pragma once

#include "cross/epilogue.h"
#include "kernels/cuda/ptx.cuh"

namespace cross::kernels::cuda {

template <class T>
struct EpilogueArgs {
  T* y = nullptr;               ///< [tokens, rows]
  const float* bias = nullptr;  ///< [rows], or nullptr
  const T* residual = nullptr;  ///< [tokens, rows], or nullptr
  std::int64_t rows = 0;
  Activation activation = Activation::none;
};

__device__ __forceinline__ float activate(float v, Activation activation) {
  switch (activation) {
    case Activation::none:
      return v;
    case Activation::relu:
      return v > 0.0f || v != v ? v : 0.0f;
    case Activation::gelu:
      return 0.5f * v * (1.0f + erff(v * 0.70710678118654752f));
    case Activation::gelu_tanh:
      return 0.5f * v * (1.0f + tanhf(0.79788456080286536f * (v + 0.044715f * v * v * v)));
    case Activation::silu:
      return v / (1.0f + expf(-v));
  }
  return v;
}

template <class T>
__device__ __forceinline__ void store_output(const EpilogueArgs<T>& e, std::int64_t row, std::int64_t token,
                                             float sum) {
  if (e.bias != nullptr) sum += e.bias[row];
  if (e.activation != Activation::none) sum = activate(sum, e.activation);
  const std::int64_t at = token * e.rows + row;
  if (e.residual != nullptr) sum += to_float(e.residual[at]);
  e.y[at] = from_float<T>(sum);
}

}  // namespace cross::kernels::cuda
