// Random values that are the same on every machine.
#pragma once

#include <cstdint>

namespace cross::base {

/// Endless standard normal values, none of them zero, determined by the seed alone: std::normal_distribution
/// differs between standard libraries, and logarithms between maths libraries, so this uses integer
/// arithmetic only. One object belongs to one thread.
class NormalSource {
 public:
  explicit NormalSource(std::uint64_t seed) : state_(seed) {}
  float next();

 private:
  std::uint32_t uniform();
  bool chance_of_exp_minus(std::uint32_t exponent);

  std::uint64_t state_;
};

}  // namespace cross::base
