// Small matrices to prune.
#pragma once

#include <cstdint>
#include <cstring>
#include <random>
#include <vector>

#include "cross/matrix.h"

namespace cross::testing {

/// Values in one dtype (rounded to it), with the view on them.
class Weights {
 public:
  Weights(std::int64_t rows, std::int64_t cols, const std::vector<float>& values, DType dtype = DType::fp32)
      : bytes_(values.size() * size_of(dtype)), view_{dtype, rows, cols, nullptr} {
    for (std::size_t i = 0; i < values.size(); ++i) {
      if (dtype == DType::fp32) {
        std::memcpy(bytes_.data() + 4 * i, &values[i], 4);
      } else {
        const std::uint16_t half =
            dtype == DType::bf16 ? bf16_from_float(values[i]) : fp16_from_float(values[i]);
        std::memcpy(bytes_.data() + 2 * i, &half, 2);
      }
    }
  }

  MatrixView view() const {
    MatrixView result = view_;
    result.data = bytes_.data();
    return result;
  }
  std::span<std::byte> bytes() { return bytes_; }
  const std::vector<std::byte>& stored() const { return bytes_; }

  std::vector<float> values() const {
    std::vector<float> result;
    for (std::int64_t r = 0; r < view_.rows; ++r) {
      for (std::int64_t c = 0; c < view_.cols; ++c) result.push_back(view().value(r, c));
    }
    return result;
  }

 private:
  std::vector<std::byte> bytes_;
  MatrixView view_;
};

/// Few distinct magnitudes, so that ties occur, and some zeros of both signs.
inline Weights random_weights(std::mt19937_64& random, std::int64_t rows, std::int64_t cols,
                              DType dtype = DType::fp32) {
  std::uniform_int_distribution step(-6, 6);
  std::vector<float> values(static_cast<std::size_t>(rows * cols));
  for (float& value : values) {
    const int level = step(random);
    value = level == 0 && random() % 2 == 0 ? -0.0f : static_cast<float>(level) * 0.25f;
  }
  return Weights(rows, cols, values, dtype);
}

}  // namespace cross::testing
