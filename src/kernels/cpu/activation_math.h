// Activation functions of one value: the definition, and what the scalar path runs.
#pragma once

#include <cmath>

#include "cross/epilogue.h"

namespace cross::kernels {

inline float apply_activation(Activation activation, float x) {
  switch (activation) {
    case Activation::none:
      return x;
    case Activation::relu:
      return x > 0.0f || std::isnan(x) ? x : 0.0f;
    case Activation::gelu:
      return 0.5f * x * (1.0f + std::erf(x * 0.70710678118654752f));
    case Activation::gelu_tanh:
      return 0.5f * x * (1.0f + std::tanh(0.79788456080286536f * (x + 0.044715f * x * x * x)));
    case Activation::silu:
      return x / (1.0f + std::exp(-x));
  }
  return x;
}

}  // namespace cross::kernels
