#include "driver/dense_twin.h"

#include "cross/error.h"
#include "plan/formats/layout.h"
#include "plan/unpack.h"

namespace cross::driver {

Plan dense_twin(const Plan& plan, const std::string& library) {
  if (plan.device != "cpu") throw InternalError("a dense twin of a plan for another device than the CPU");
  Plan twin = plan;
  for (LayerPlan& layer : twin.layers) {
    const Packing& first = layer.packings.front();
    std::vector<std::byte> weights = unpack(layer, first, plan.dtype);
    weights.resize(formats::round_up(weights.size() + formats::segment_overread, 64));
    Packing dense;
    dense.arithmetic = first.arithmetic;
    dense.data = Blob::own(std::move(weights));
    Variant variant;
    variant.tokens = 1;
    variant.shape = variant.policy = "library";
    variant.library = library;
    layer.packings.assign(1, std::move(dense));
    layer.variants.assign(1, std::move(variant));
    layer.row_order.clear();
  }
  return twin;
}

std::uint64_t stored_bytes(const Plan& plan) {
  std::uint64_t bytes = 0;
  for (const LayerPlan& layer : plan.layers)
    bytes += layer.packed_bytes() + layer.bias.size() * sizeof(float);
  if (plan.model)
    for (const PlanTensor& tensor : plan.model->tensors) bytes += tensor.data.bytes.size();
  return bytes;
}

std::vector<ModelBenchPart> parts_per_run(std::span<const PartTime> dense, std::span<const PartTime> cross,
                                          int repetitions) {
  const double runs = repetitions;
  std::vector<ModelBenchPart> parts;
  for (std::size_t i = 0; i < dense.size(); ++i)
    parts.push_back({dense[i].name, dense[i].product, dense[i].seconds / runs, cross[i].seconds / runs});
  return parts;
}

}  // namespace cross::driver
