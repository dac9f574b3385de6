// A view of a dense row-major weight matrix, the currency between loading, pruning, analysing and packing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "cross/dtype.h"

namespace cross {

/// W[rows, cols], row-major and contiguous (`[out, in]` of nn.Linear). Does not own its bytes, which may be
/// unaligned: they can be a slice of a mapped file.
struct MatrixView {
  DType dtype = DType::fp32;
  std::int64_t rows = 0;
  std::int64_t cols = 0;
  const std::byte* data = nullptr;

  std::int64_t elements() const { return rows * cols; }
  std::size_t bytes() const { return static_cast<std::size_t>(elements()) * size_of(dtype); }
  const std::byte* row(std::int64_t r) const {
    return data + static_cast<std::size_t>(r * cols) * size_of(dtype);
  }

  /// The stored bits of W[r, c], zero-extended. A position is *pruned* exactly when its bits are all zero:
  /// −0.0 is a kept value.
  std::uint32_t bits(std::int64_t r, std::int64_t c) const {
    const std::byte* at = row(r) + static_cast<std::size_t>(c) * size_of(dtype);
    if (dtype == DType::fp32) {
      std::uint32_t value;
      std::memcpy(&value, at, sizeof value);
      return value;
    }
    std::uint16_t value;
    std::memcpy(&value, at, sizeof value);
    return value;
  }

  /// W[r, c] widened to fp32 (exact for every dtype).
  float value(std::int64_t r, std::int64_t c) const {
    const std::uint32_t stored = bits(r, c);
    switch (dtype) {
      case DType::fp32:
        return std::bit_cast<float>(stored);
      case DType::fp16:
        return float_from_fp16(static_cast<std::uint16_t>(stored));
      case DType::bf16:
        return float_from_bf16(static_cast<std::uint16_t>(stored));
    }
    return 0.0f;
  }
};

}  // namespace cross
