// What is applied to a product before it is stored.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace cross {

/// gelu is x·Φ(x) by erf; gelu_tanh its usual tanh approximation; silu is x·sigmoid(x).
enum class Activation : std::uint8_t { none, relu, gelu, gelu_tanh, silu };

inline constexpr Activation all_activations[] = {Activation::none, Activation::relu, Activation::gelu,
                                                 Activation::gelu_tanh, Activation::silu};

constexpr std::string_view name_of(Activation activation) {
  switch (activation) {
    case Activation::none:
      return "none";
    case Activation::relu:
      return "relu";
    case Activation::gelu:
      return "gelu";
    case Activation::gelu_tanh:
      return "gelu_tanh";
    case Activation::silu:
      return "silu";
  }
  return "?";
}

constexpr std::optional<Activation> activation_from_name(std::string_view name) {
  for (const Activation activation : all_activations)
    if (name_of(activation) == name) return activation;
  return std::nullopt;
}

}  // namespace cross
