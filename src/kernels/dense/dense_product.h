// The dense product through a library: the fallback of every plan and the baseline of every benchmark.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cross/dtype.h"

namespace cross::kernels {

enum class DenseLibrary : std::uint8_t { onednn, openblas };

constexpr std::string_view name_of(DenseLibrary library) {
  return library == DenseLibrary::onednn ? "onednn" : "openblas";
}
std::optional<DenseLibrary> dense_library_from_name(std::string_view name);

/// Libraries that this build has, the usually fastest first.
std::span<const DenseLibrary> dense_libraries();

/// The same, and DeviceError if there is none: a build for GPUs may go without.
std::span<const DenseLibrary> require_dense_libraries();

/// "2.6.3"
std::string dense_library_version(DenseLibrary library);

class DenseProduct;

struct DenseProblem {
  DType dtype = DType::fp32;  ///< fp32 or bf16: of weights, x and y alike
  std::int64_t rows = 0;      ///< M
  std::int64_t cols = 0;      ///< K
  std::int64_t tokens = 0;    ///< N
  int threads = 1;
  const std::byte* weights =
      nullptr;                  ///< W[M, K] row-major; nullptr: arbitrary finite values, for timing only
  const float* bias = nullptr;  ///< [M], added by the library where it can; must outlive the product
  /// Products of the same weights (any token counts): where the library wants the same layout again, the new
  /// product shares their packed copy.
  std::span<const DenseProduct* const> alike = {};
};

/// Y[N, M] = X[N, K] · W[M, K]ᵀ + bias for one shape, weights packed ahead as the library likes best.
/// bf16 runs natively where library and CPU can, and otherwise in fp32 on weights widened ahead of time
/// (`widened`), which is the fastest dense way left.
class DenseProduct {
 public:
  virtual ~DenseProduct() = default;
  /// x [N, K] and y [N, M] in the problem's dtype. Not thread-safe: one product is one library handle with
  /// scratch.
  virtual void run(const std::byte* x, std::byte* y) = 0;
  /// The packed weights, so that a measurement can drop them from the caches.
  virtual std::span<const std::byte> packed() const = 0;
  virtual bool widened() const { return false; }
  /// False where the library reads the problem's own weights, which must then outlive the product.
  virtual bool copied() const { return true; }
};

/// nullptr if this build lacks the library.
std::unique_ptr<DenseProduct> make_dense_product(DenseLibrary library, const DenseProblem& problem);

}  // namespace cross::kernels
