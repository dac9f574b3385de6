// y = x·Wᵀ by cuSPARSE, W in CSR: what a user without CROSS would reach for.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "cuda/memory.h"
#include "gpu/weights.h"

namespace cross_bench {

/// W[rows, cols] in CSR, fp32 or 16-bit values.
struct Csr {
  cross::DType dtype = cross::DType::fp16;
  Shape shape;
  std::vector<std::int32_t> row_offsets, columns;
  std::vector<std::byte> values;
};
Csr csr_of(const Weight& weight);

/// cuSPARSE's product over rotated copies of the weights: SpMV for one token, else SpMM.
class CuSparseProduct {
 public:
  CuSparseProduct(const Csr& csr, std::size_t l2_bytes);
  ~CuSparseProduct();
  /// @param x [tokens, cols], y [tokens, rows] on the device, row-major in the matrix's dtype
  void use(std::int64_t tokens, void* x, void* y);
  int copies() const;
  int algorithms() const;
  void choose(int algorithm);  ///< 0 … algorithms() - 1
  /// false if the library refuses the product by this algorithm.
  bool enqueue(int launch, void* stream) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

std::string cusparse_version();

}  // namespace cross_bench
