// y[tokens, rows] = x[tokens, cols]·Wᵀ by cuSPARSELt, W exactly 2:4, compressed: NVIDIA's library for sparse
// tensor cores. Loaded at run time where the machine has it; nothing needs it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "cross/dtype.h"
#include "cuda/memory.h"

namespace cross::cuda {

/// The library, or why it is not there. Looked for as $CROSS_CUSPARSELT (a file; "off": nowhere), then where
/// the system's loader looks. Of the GPU that is current when it is made.
class CuSparseLt {
 public:
  CuSparseLt();
  ~CuSparseLt();
  CuSparseLt(const CuSparseLt&) = delete;
  CuSparseLt& operator=(const CuSparseLt&) = delete;
  bool here() const { return missing_.empty(); }
  const std::string& missing() const { return missing_; }  ///< a reason, or empty
  std::string version() const;                             ///< "0.8.0"

  struct Functions;
  const Functions& functions() const { return *functions_; }

 private:
  std::unique_ptr<Functions> functions_;
  std::string missing_;
};

/// An exactly 2:4 matrix in the library's own form, on the device.
class CompressedMatrix {
 public:
  /// @param library here(), and outlives the matrix; @param dtype bf16 or fp16; @param dense
  /// [rows, cols] on the device, not used afterwards; @param copies equal ones, for rotating
  /// @return nullptr if the library does not take this shape
  static std::unique_ptr<CompressedMatrix> make(const CuSparseLt& library, DType dtype, std::int64_t rows,
                                                std::int64_t cols, const void* dense, int copies = 1);
  const CuSparseLt& library() const { return library_; }
  DType dtype() const { return dtype_; }
  std::int64_t rows() const { return rows_; }
  std::int64_t cols() const { return cols_; }
  std::size_t bytes() const { return bytes_; }               ///< of one copy
  std::size_t device_bytes() const { return data_.size(); }  ///< of all
  const std::byte* copy(int index) const { return data_.data() + stride_ * static_cast<std::size_t>(index); }

 private:
  CompressedMatrix(const CuSparseLt& library, DType dtype, std::int64_t rows, std::int64_t cols)
      : library_(library), dtype_(dtype), rows_(rows), cols_(cols) {}

  const CuSparseLt& library_;
  DType dtype_;
  std::int64_t rows_, cols_;
  std::size_t bytes_ = 0, stride_ = 0;
  DeviceBuffer data_;
};

/// One product with its algorithm chosen. `enqueue` is const and thread-safe.
class CompressedProduct {
 public:
  /// Takes `algorithm` (of `algorithm()`) if it is of this library version and can be had, else the library's
  /// first choice. nullptr if the library has no product of so many tokens. The matrix outlives the product.
  static std::unique_ptr<CompressedProduct> make(const CompressedMatrix& matrix, std::int64_t tokens,
                                                 const std::string& algorithm = {});
  /// Every algorithm, and what the library's own search finds with these x and y.
  static std::vector<std::unique_ptr<CompressedProduct>> candidates(const CompressedMatrix& matrix,
                                                                    std::int64_t tokens, const void* x,
                                                                    void* y);
  ~CompressedProduct();

  std::size_t workspace_bytes() const;
  /// y = x·Wᵀ, or with `residual` added. All pointers aligned to 16 bytes; `workspace` has workspace_bytes.
  void enqueue(int copy, const void* x, void* y, const void* residual, void* workspace, void* stream) const;
  /// Text that plans remember: the library's version and its algorithm.
  std::string algorithm() const;

  struct State;

 private:
  explicit CompressedProduct(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

/// The fastest of the candidates that can be captured into a CUDA graph, by replays over the copies of the
/// matrix; nullptr if none runs. @param x, y on the device
struct BestCompressed {
  std::unique_ptr<CompressedProduct> product;
  double us = 0;
  int tried = 0;  ///< algorithms
};
BestCompressed best_compressed(const CompressedMatrix& matrix, int copies, std::int64_t tokens, const void* x,
                               void* y);

}  // namespace cross::cuda
