#include "cross/plan.h"

#include <utility>

#include "cross/error.h"
#include "plan/formats/layout.h"

namespace cross {

Blob Blob::own(std::vector<std::byte> data) {
  auto holder = std::make_shared<const std::vector<std::byte>>(std::move(data));
  return {holder, *holder};
}

std::uint64_t LayerPlan::packed_bytes() const {
  std::uint64_t total = 0;
  for (const Packing& packing : packings)
    if (!packing.data.bytes.empty()) total += packing.data.bytes.size() - formats::segment_overread;
  return total;
}

const Variant& LayerPlan::variant_for(std::int64_t tokens) const {
  if (variants.empty()) throw InternalError("plan: a layer without variants");
  for (const Variant& variant : variants)
    if (tokens <= variant.tokens) return variant;
  return variants.back();
}

const LayerPlan* Plan::find(std::string_view layer) const {
  for (const LayerPlan& plan : layers)
    if (plan.name == layer) return &plan;
  return nullptr;
}

const PlanTensor* ModelPart::find(std::string_view tensor) const {
  for (const PlanTensor& entry : tensors)
    if (entry.name == tensor) return &entry;
  return nullptr;
}

double Plan::sparsity() const {
  double kept = 0, all = 0;
  for (const LayerPlan& layer : layers) {
    kept += static_cast<double>(layer.nnz);
    all += static_cast<double>(layer.rows) * static_cast<double>(layer.cols);
  }
  return all > 0 ? 1 - kept / all : 0;
}

}  // namespace cross
