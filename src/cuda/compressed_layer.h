// A 2:4 layer as cuSPARSELt multiplies it: its compressed weights, and a product for every token count that
// was asked for.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "cuda/cusparselt.h"

namespace cross::cuda {

/// The shape of variants that name the library.
inline constexpr std::string_view sparse_library_shape = "cusparselt";
/// Below so many tokens our own kernels are always faster (docs/gpu/two_four.md).
inline constexpr std::int64_t sparse_library_least_tokens = 128;

class CompressedLayer {
 public:
  /// As CompressedMatrix::make; nullptr if the library does not take this shape, or for fp16.
  static std::unique_ptr<CompressedLayer> make(const CuSparseLt& library, DType dtype, std::int64_t rows,
                                               std::int64_t cols, const void* dense, int copies);
  /// Made on first use and kept; nullptr if the library has none. Without an algorithm the fastest is
  /// searched for, which allocates and waits: plans name one. Thread-safe.
  const CompressedProduct* product(std::int64_t tokens, const std::string& algorithm) const;
  std::size_t bytes() const { return matrix_->bytes(); }  ///< of one copy
  std::size_t device_bytes() const { return matrix_->device_bytes(); }

 private:
  CompressedLayer(std::unique_ptr<CompressedMatrix> matrix, int copies)
      : matrix_(std::move(matrix)), copies_(copies) {}

  std::unique_ptr<CompressedMatrix> matrix_;
  int copies_;
  mutable std::mutex mutex_;
  mutable std::map<std::int64_t, std::unique_ptr<CompressedProduct>> products_;
};

}  // namespace cross::cuda
