// A dense fp32 matrix that is filled from the entries of a sparse text format.
#pragma once

#include <cstdint>
#include <string>

#include "base/zeroed_buffer.h"

namespace cross::io {

/// The largest dense matrix that a text file may ask for: a file of 30 bytes can claim any size.
inline constexpr std::uint64_t largest_dense_bytes = std::uint64_t{16} << 30;

/// W[rows, cols] in fp32, row-major.
struct DenseMatrix {
  std::int64_t rows = 0;
  std::int64_t cols = 0;
  base::ZeroedBuffer values;
};

/// Collects entries of W[rows, cols] and notices positions that were given twice.
class DenseBuilder {
 public:
  /// Throws InputError, with `where` in front, if the matrix needs more than `most_bytes`. Sizes must not be
  /// negative.
  DenseBuilder(std::int64_t rows, std::int64_t cols, const std::string& where, std::uint64_t most_bytes);

  /// Sets W[r, c], which must be inside; false, and nothing changed, if it was set before.
  bool place(std::int64_t r, std::int64_t c, float value);
  DenseMatrix finish() &&;

 private:
  DenseMatrix matrix_;
  base::ZeroedBuffer placed_;  // one bit per position: a placed value may itself be zero
};

}  // namespace cross::io
