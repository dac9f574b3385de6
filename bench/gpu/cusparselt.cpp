#include "gpu/cusparselt.h"

#include <algorithm>

#include "cross/error.h"
#include "cuda/replay.h"

namespace cross_bench {

CuSparseLtProduct::CuSparseLtProduct(const cross::cuda::CuSparseLt& library, const Weight& weight,
                                     std::size_t l2_bytes)
    : copies_(cross::cuda::copies_beyond_cache(weight.bytes.size() / 2, l2_bytes)) {
  const cross::cuda::DeviceBuffer dense(weight.bytes.size(), "weights for cuSPARSELt");
  dense.upload(weight.bytes);
  matrix_ = cross::cuda::CompressedMatrix::make(library, weight.dtype, weight.shape.rows, weight.shape.cols,
                                                dense.data(), copies_);
  if (matrix_ == nullptr) throw cross::InternalError("cuSPARSELt: does not take this shape");
}

void CuSparseLtProduct::use(std::int64_t tokens, const void* x, void* y) {
  x_ = x;
  y_ = y;
  best_ = cross::cuda::best_compressed(*matrix_, copies_, tokens, x, y);
  if (best_.product == nullptr) throw cross::InternalError("cuSPARSELt: no algorithm runs");
  workspace_ = {};
  workspace_ = cross::cuda::DeviceBuffer(std::max<std::size_t>(best_.product->workspace_bytes(), 1),
                                         "cuSPARSELt's workspace");
}

void CuSparseLtProduct::enqueue(int launch, void* stream) const {
  best_.product->enqueue(launch % copies_, x_, y_, nullptr, workspace_.data(), stream);
}

}  // namespace cross_bench
