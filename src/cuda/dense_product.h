// y[tokens, rows] = x[tokens, cols]·W[rows, cols]ᵀ by cuBLASLt, all row-major, accumulated in fp32.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "cross/dtype.h"
#include "cross/epilogue.h"
#include "cuda/library.h"

namespace cross::cuda {

struct DenseProblem {
  DType dtype = DType::bf16;
  std::int64_t rows = 0, cols = 0, tokens = 0;
  bool tf32 = false;  ///< fp32 rounded to TF32 on the way: no plan takes it, benchmarks show it
};

/// What the library does to the product before it stores it. gelu is the tanh approximation; `wide` stores
/// fp32, for what only our own elementwise kernel can finish.
enum class Fused : std::uint8_t {
  nothing,
  bias,
  relu,
  relu_bias,
  gelu,
  gelu_bias,
  residual,
  residual_bias,
  wide
};

/// In what the library adds up partial products where it splits K. Plans take fp32; `any`, with sums rounded
/// to 16 bits on the way, is for benchmarks that want its fastest.
enum class PartialSums : std::uint8_t { fp32, any };

/// What the library can do of an epilogue. A bias that its own type cannot hold exactly (`bias_exact`) would
/// be rounded by the library, so that it takes `wide`.
Fused fused_for(Activation activation, bool bias, bool bias_exact, bool residual);

/// One product with its algorithm chosen. `enqueue` is const and thread-safe.
class DenseProduct {
 public:
  /// Takes `algorithm` (of `algorithm()`) if this library version, GPU and problem can run it, else the
  /// library's own first choice. nullptr if the library has none. @param bias on the device, in the problem's
  /// dtype, for Fused that adds one.
  static std::unique_ptr<DenseProduct> make(const Library& library, const DenseProblem& problem, Fused fused,
                                            const void* bias, const std::string& algorithm = {});
  /// The library's suggestions, distinct, for workspaces of at most 0 and library_workspace bytes.
  static std::vector<std::unique_ptr<DenseProduct>> candidates(const Library& library,
                                                               const DenseProblem& problem, int most,
                                                               PartialSums sums = PartialSums::fp32);
  ~DenseProduct();

  /// Weights 256-byte, everything else 16-byte aligned; `workspace` has library_workspace bytes.
  void enqueue(const void* w, const void* x, void* y, const void* residual, void* workspace,
               void* stream) const;
  /// Whether the algorithm adds up partial sums in fp32, if it splits K at all.
  bool sums_in_fp32() const;
  /// Text that plans remember: the library's version and its algorithm's bytes.
  std::string algorithm() const;

 private:
  struct State;
  explicit DenseProduct(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace cross::cuda
