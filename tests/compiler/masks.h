// Matrices with chosen zeros, for tests of the analysis.
#pragma once

#include <cstdint>
#include <cstring>
#include <functional>
#include <random>
#include <vector>

#include "cross/matrix.h"

namespace cross::compiler {

/// A matrix that owns its bytes. They start one byte after an aligned address, as slices of mapped files may.
class TestMatrix {
 public:
  TestMatrix(DType dtype, std::int64_t rows, std::int64_t cols,
             const std::function<bool(std::int64_t, std::int64_t)>& kept)
      : dtype_(dtype),
        rows_(rows),
        cols_(cols),
        bytes_(1 + static_cast<std::size_t>(rows * cols) * size_of(dtype)) {
    for (std::int64_t r = 0; r < rows; ++r) {
      for (std::int64_t c = 0; c < cols; ++c) {
        // Only high bits in some values and only low bits in others: any set bit makes a value.
        if (kept(r, c)) set(r, c, (r + c) % 2 == 0 ? 0x1u : dtype == DType::fp32 ? 0x80000000u : 0x8000u);
      }
    }
  }

  void set(std::int64_t r, std::int64_t c, std::uint32_t bits) {
    std::byte* at = bytes_.data() + 1 + static_cast<std::size_t>(r * cols_ + c) * size_of(dtype_);
    const auto half = static_cast<std::uint16_t>(bits);
    if (dtype_ == DType::fp32) {
      std::memcpy(at, &bits, sizeof bits);
    } else {
      std::memcpy(at, &half, sizeof half);
    }
  }
  MatrixView view() const { return {dtype_, rows_, cols_, bytes_.data() + 1}; }

 private:
  DType dtype_;
  std::int64_t rows_, cols_;
  std::vector<std::byte> bytes_;
};

inline TestMatrix random_mask(std::uint64_t seed, std::int64_t rows, std::int64_t cols, double density,
                              DType dtype = DType::fp32) {
  std::mt19937_64 random(seed);
  std::bernoulli_distribution kept(density);
  return TestMatrix(dtype, rows, cols, [&](auto, auto) { return kept(random); });
}

}  // namespace cross::compiler
