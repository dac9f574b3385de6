#include "cuda/compressed_layer.h"

#include <utility>

#include "cuda/random.h"

namespace cross::cuda {

std::unique_ptr<CompressedLayer> CompressedLayer::make(const CuSparseLt& library, DType dtype,
                                                       std::int64_t rows, std::int64_t cols,
                                                       const void* dense, int copies) {
  // Trying all algorithms of version 0.8.0 with fp16 ended in an illegal instruction on an H200 (256x512, 128
  // tokens): a search must not be able to take the process's GPU context with it.
  if (dtype != DType::bf16) return nullptr;
  auto matrix = CompressedMatrix::make(library, dtype, rows, cols, dense, copies);
  if (matrix == nullptr) return nullptr;
  return std::unique_ptr<CompressedLayer>(new CompressedLayer(std::move(matrix), copies));
}

const CompressedProduct* CompressedLayer::product(std::int64_t tokens, const std::string& algorithm) const {
  const std::lock_guard lock(mutex_);
  if (const auto found = products_.find(tokens); found != products_.end()) return found->second.get();
  std::unique_ptr<CompressedProduct> made;
  if (algorithm.empty()) {
    const DeviceBuffer x(static_cast<std::size_t>(tokens * matrix_->cols()) * 2, "activations to be timed");
    const DeviceBuffer y(static_cast<std::size_t>(tokens * matrix_->rows()) * 2, "results to be timed");
    fill_random(x, matrix_->dtype(), tokens * matrix_->cols(), 1.0, 99);
    made = best_compressed(*matrix_, copies_, tokens, x.data(), y.data()).product;
  } else {
    made = CompressedProduct::make(*matrix_, tokens, algorithm);
  }
  return products_.emplace(tokens, std::move(made)).first->second.get();
}

}  // namespace cross::cuda
