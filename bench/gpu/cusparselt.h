// cuSPARSELt as a rival in contests: one compressed matrix over rotated copies, its fastest algorithm at each
// token count.
#pragma once

#include <cstdint>
#include <memory>

#include "cuda/cusparselt.h"
#include "gpu/weights.h"

namespace cross_bench {

class CuSparseLtProduct {
 public:
  /// @param library here(); @param weight bf16 or fp16, exactly 2:4
  CuSparseLtProduct(const cross::cuda::CuSparseLt& library, const Weight& weight, std::size_t l2_bytes);
  /// Tries every algorithm and the library's own search for y[tokens, rows] = x[tokens, cols]·Wᵀ and keeps
  /// the fastest. Both pointers stay in use.
  void use(std::int64_t tokens, const void* x, void* y);
  int copies() const { return copies_; }
  int algorithms() const { return best_.tried; }            ///< tried by the last `use`
  std::uint64_t bytes() const { return matrix_->bytes(); }  ///< of one compressed copy
  void enqueue(int launch, void* stream) const;

 private:
  int copies_;
  std::unique_ptr<cross::cuda::CompressedMatrix> matrix_;
  cross::cuda::BestCompressed best_;
  cross::cuda::DeviceBuffer workspace_;
  const void* x_ = nullptr;
  void* y_ = nullptr;
};

}  // namespace cross_bench
