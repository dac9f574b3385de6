// How one stored value multiplies one packed activation slot. A kernel template takes one of these with its
// Simd.
#pragma once

#include <cstddef>
#include <cstdint>

namespace cross::kernels {

template <class S>
struct Fp32Arithmetic {
  using Value = float;   ///< as stored per element
  using Column = float;  ///< as stored per column (bitmap, n_m)
  static constexpr int columns_per_element = 1;
  static typename S::F broadcast(const Value* value) { return S::broadcast(value); }
  static typename S::F multiply_add(typename S::F w, typename S::F x, typename S::F sum) {
    return S::fma(w, x, sum);
  }

  // Expansion of a row for the tile kernels: `expand_lanes` columns become as many scratch floats.
  static constexpr int expand_lanes = S::lanes;
  static typename S::F expand(const Column* values, std::uint32_t mask) { return S::expand(values, mask); }
  using Scratch = float;
  static typename S::F broadcast_scratch(const Scratch* value) { return S::broadcast(value); }

  // Dot kernels: `load_values` takes stored elements (the first `count`, zeros after them), `dot_lanes`
  // columns of x meet the values spread over the same columns.
  static constexpr int dot_lanes = S::lanes;
  static constexpr std::size_t x_bytes = 4;
  static typename S::F load_values(const Value* values) { return S::load_unaligned(values); }
  static typename S::F load_values(const Value* values, int count) { return S::load_first(values, count); }
  using Spread = typename S::F;
  static Spread spread(const Column* values, std::uint32_t mask) { return S::expand(values, mask); }
  static Spread load_columns(const std::byte* x, std::int64_t column) {
    return S::load_unaligned(reinterpret_cast<const float*>(x) + column);
  }
  static void store_columns(std::byte* to, std::int64_t column, Spread value) {
    S::store(reinterpret_cast<float*>(to) + column, value);
  }
  static typename S::F dot(Spread w, Spread x, typename S::F sum) { return S::fma(w, x, sum); }
};

/// bf16 weights widened on the way into the multiplier; activations are fp32 slots.
template <class S>
struct WidenedArithmetic : Fp32Arithmetic<S> {
  using Value = std::uint16_t;
  using Column = std::uint16_t;
  static typename S::F broadcast(const Value* value) { return S::broadcast_bf16(value); }
  static typename S::F expand(const Column* values, std::uint32_t mask) {
    return S::expand_bf16(values, mask);
  }
  static typename S::F spread(const Column* values, std::uint32_t mask) {
    return S::expand_bf16(values, mask);
  }
  static typename S::F load_values(const Value* values) { return S::load_bf16(values); }
  static typename S::F load_values(const Value* values, int count) {
    return S::load_first_bf16(values, count);
  }
};

}  // namespace cross::kernels
