// The portable stand-in for a vector: eight floats in an array. Slow and plain; it defines what the others
// must do and runs where a CPU has neither AVX2 nor AVX-512.
#pragma once

#include <cstdint>

#include "cross/dtype.h"

namespace cross::kernels::scalar {

struct Simd {
  static constexpr int lanes = 8;
  static constexpr int max_vectors = 8;
  static constexpr int interleaved_step = 2;
  static constexpr int dot_rows = 1;
  static constexpr int dot_rows_many_tokens = 1;
  struct F {
    float lane[lanes];
  };

  template <class Function>
  static F each(Function function) {
    F result;
    for (int i = 0; i < lanes; ++i) result.lane[i] = function(i);
    return result;
  }

  static F zero() {
    return each([](int) { return 0.0f; });
  }
  static F load(const float* p) {
    return each([p](int i) { return p[i]; });
  }
  static F load_unaligned(const float* p) { return load(p); }
  static void store(float* p, F v) {
    for (int i = 0; i < lanes; ++i) p[i] = v.lane[i];
  }
  static F fma(F a, F b, F c) {
    return each([&](int i) { return a.lane[i] * b.lane[i] + c.lane[i]; });
  }
  static F add(F a, F b) {
    return each([&](int i) { return a.lane[i] + b.lane[i]; });
  }
  static F broadcast(const float* p) {
    return each([p](int) { return *p; });
  }
  static F broadcast_bf16(const std::uint16_t* p) {
    return each([p](int) { return float_from_bf16(*p); });
  }
  static F load_bf16(const std::uint16_t* p) {
    return each([p](int i) { return float_from_bf16(p[i]); });
  }
  static F expand(const float* values, unsigned mask) {
    return each([&](int i) { return ((mask >> i) & 1u) != 0 ? *values++ : 0.0f; });
  }
  static F expand_bf16(const std::uint16_t* values, unsigned mask) {
    return each([&](int i) { return ((mask >> i) & 1u) != 0 ? float_from_bf16(*values++) : 0.0f; });
  }
  static F load_first(const float* p, int count) {
    return each([&](int i) { return i < count ? p[i] : 0.0f; });
  }
  static F load_first_bf16(const std::uint16_t* p, int count) {
    return each([&](int i) { return i < count ? float_from_bf16(p[i]) : 0.0f; });
  }

  class Lookup {
   public:
    Lookup(const float* x, int slots) : x_(x), slots_(slots) {}
    F get(const std::uint8_t* index) const {
      return each([&](int i) { return x_[index[i] < slots_ ? index[i] : slots_ - 1]; });
    }

   private:
    const float* x_;
    int slots_;
  };

  static float reduce(F v) {
    return ((v.lane[0] + v.lane[4]) + (v.lane[2] + v.lane[6])) +
           ((v.lane[1] + v.lane[5]) + (v.lane[3] + v.lane[7]));
  }
  static int popcount(unsigned mask) { return __builtin_popcount(mask); }
};

}  // namespace cross::kernels::scalar
