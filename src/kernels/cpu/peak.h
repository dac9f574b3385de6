// The multiply-add rate that no kernel can exceed, for "fraction of peak".
#pragma once

#include <cstdint>

#include "kernels/isa.h"

namespace cross::kernels {

/// Twelve independent chains, enough for four cycles of latency at three issues a cycle. Returns a value that
/// depends on all of them; does 2 · 12 · lanes · iterations floating-point operations.
template <class S>
static float fma_burst(std::int64_t iterations) {
  constexpr int chains = 12;
  const float seed = 1e-3f;
  const typename S::F w = S::broadcast(&seed);
  typename S::F sum[chains];
  for (auto& s : sum) s = w;
  for (std::int64_t i = 0; i < iterations; ++i)
    for (auto& s : sum) s = S::fma(w, w, s);
  typename S::F total = sum[0];
  for (int c = 1; c < chains; ++c) total = S::add(total, sum[c]);
  return S::reduce(total);
}

using PeakFunction = float (*)(std::int64_t iterations);

PeakFunction scalar_peak();
PeakFunction avx2_peak();
PeakFunction avx512_peak();

/// Operations of one iteration: 2 · 12 · lanes.
struct Peak {
  PeakFunction burst;
  int operations;
};
Peak peak_of(Isa isa);

}  // namespace cross::kernels
