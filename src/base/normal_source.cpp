#include "base/normal_source.h"

namespace cross::base {

/// SplitMix64 (Steele, Lea, Flood 2014).
std::uint32_t NormalSource::uniform() {
  std::uint64_t z = (state_ += 0x9e3779b97f4a7c15u);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return static_cast<std::uint32_t>((z ^ (z >> 31)) >> 32);
}

/// True with probability exp(−exponent / 2³²), by von Neumann's method: the length of a falling run is even.
bool NormalSource::chance_of_exp_minus(std::uint32_t exponent) {
  bool even = true;
  for (std::uint32_t last = exponent, u = uniform(); u < last; last = u, u = uniform()) even = !even;
  return even;
}

/// C. Karney, "Sampling exactly from the normal distribution" (2016), algorithm N, with x in steps of 2⁻²⁵:
/// the value is ±(k + x) with weight exp(−k²/2) · exp(−x(2k + x)/2), each factor met by coin tosses.
float NormalSource::next() {
  constexpr std::uint32_t half = 1u << 31;
  constexpr int steps = 25;
  for (;;) {
    std::uint64_t k = 0;
    while (chance_of_exp_minus(half)) ++k;
    bool kept = true;
    for (std::uint64_t i = 0; kept && i < k * (k - 1); ++i) kept = chance_of_exp_minus(half);
    if (!kept) continue;

    const std::uint64_t x = (uniform() >> (32 - steps)) | 1u;  // odd, so that no value is zero
    const std::uint64_t weight = x * (2 * (k << steps) + x);   // x(2k + x) in units of 2⁻⁵⁰
    const auto exponent = static_cast<std::uint32_t>(weight / ((2 * k + 2) << (2 * steps - 32)));
    for (std::uint64_t i = 0; kept && i <= k; ++i) kept = chance_of_exp_minus(exponent);
    if (!kept) continue;

    const float magnitude = static_cast<float>((k << steps) + x) / static_cast<float>(1u << steps);
    return (uniform() & 1u) != 0 ? -magnitude : magnitude;
  }
}

}  // namespace cross::base
