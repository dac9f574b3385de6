// Random 16-bit weights for tests of the CUDA device family's packers, and what a blob decodes to.
#pragma once

#include <cstddef>
#include <cstdint>
#include <random>
#include <span>
#include <vector>

#include "cross/matrix.h"
#include "plan/formats/gpu/packed.h"

namespace cross::compiler {

/// Each position is kept with probability `density`; any bits but zero, NaN, Inf and −0.0 among them.
struct RandomWeight {
  std::vector<std::uint16_t> bits;
  MatrixView view;

  RandomWeight(std::int64_t rows, std::int64_t cols, double density, unsigned seed = 7)
      : bits(static_cast<std::size_t>(rows * cols)) {
    std::mt19937 random(seed);
    std::bernoulli_distribution keep(density);
    std::uniform_int_distribution<int> value(1, 0xffff);
    for (auto& b : bits) b = keep(random) ? static_cast<std::uint16_t>(value(random)) : std::uint16_t{0};
    view = {DType::bf16, rows, cols, reinterpret_cast<const std::byte*>(bits.data())};
  }
};

inline std::vector<std::uint16_t> decoded(std::span<const std::byte> blob, const RandomWeight& weight) {
  std::vector<std::uint16_t> out(weight.bits.size());
  formats::gpu::decode(blob, [&](std::int64_t row, std::int64_t col, std::uint16_t bits) {
    out[static_cast<std::size_t>(row * weight.view.cols + col)] = bits;
  });
  return out;
}

}  // namespace cross::compiler
