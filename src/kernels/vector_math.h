// exp and gelu in the compiler's own vectors (GCC and clang), for whichever width and ISA includes this: `F`
// is a vector of floats, `I` one of as many 32-bit integers.
#pragma once

#include <cstdint>
#include <cstring>

namespace cross::kernels {
namespace {

/// eˣ for x ≤ 0, within two units in the last place; below −87 the smallest normal number.
///
///     x = n·ln 2 + r, |r| ≤ ln 2 / 2:  eˣ = 2ⁿ · Σ rᵏ/k!,  k ≤ 7 (the rest is below 6e-9)
template <class F, class I>
inline F exp_of_negative(F x) {
  const F least = F{} - 87.0f;
  x = x > least ? x : least;
  constexpr float round_to_integer = 12582912.0f;  // 1.5 · 2²³: adding it leaves no bits for a fraction
  const F n = (x * 1.44269504f + round_to_integer) - round_to_integer;
  // ln 2 in two parts; the first has few enough bits that n times it is exact.
  const F r = (x - n * 0.693145751953125f) - n * 1.42860677e-6f;
  F p = r * (1.0f / 5040) + 1.0f / 720;
  p = p * r + 1.0f / 120;
  p = p * r + 1.0f / 24;
  p = p * r + 1.0f / 6;
  p = p * r + 0.5f;
  p = p * r + 1.0f;
  p = p * r + 1.0f;
  const I power = (__builtin_convertvector(n, I) + 127) << 23;
  F scale;
  std::memcpy(&scale, &power, sizeof scale);
  return p * scale;
}

/// x·Φ(x), Φ the normal distribution, within 3e-7·max(1, |x|), with the complement of Φ by Abramowitz and
/// Stegun 7.1.26 (error below 1.5e-7):
///
///     1 − Φ(z) = ½ · (a₁t + … + a₅t⁵) · e^(−z²/2),  t = 1 / (1 + p·z/√2),  z ≥ 0
///
/// For x < 0 the result is a product without a difference, so its tail keeps its digits.
template <class F, class I>
inline F gelu_of(F x) {
  const F zero = {};
  const F z = x < zero ? -x : x;
  const F t = 1.0f / (1.0f + (0.3275911f * 0.70710678f) * z);
  F p = 1.061405429f * t - 1.453152027f;
  p = p * t + 1.421413741f;
  p = p * t - 0.284496736f;
  p = p * t + 0.254829592f;
  // Beyond 100 the tail is nothing; the limit keeps ∞ · 0 out of it.
  const F most = zero + 100.0f;
  const F tail = (0.5f * (z < most ? z : most)) * (p * t * exp_of_negative<F, I>(-0.5f * (z * z)));
  // −tail where x < 0 (and NaN where x is), x − tail else.
  return (x < zero ? zero : x) - tail;
}

}  // namespace
}  // namespace cross::kernels
