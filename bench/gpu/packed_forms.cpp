#include "gpu/packed_forms.h"

#include <algorithm>
#include <atomic>
#include <chrono>

#include "compiler/pack/gpu/pack_gpu.h"
#include "compiler/select/candidates_gpu.h"
#include "plan/formats/layout.h"

namespace cross_bench {

using cross::DType;
using cross::Format;
using cross::LayerPlan;

namespace {

constexpr std::int64_t few_tokens = 8;

LayerPlan packed(const Weight& weight, Format format, const cross::compiler::GpuTarget& target, int threads) {
  std::int64_t kept = 0;
  std::vector<std::byte> blob =
      cross::compiler::pack_gpu(weight.view(), weight.dtype, format, target, threads, kept);
  return layer_of(weight, format, std::move(blob), kept, target.tokens);
}

}  // namespace

LayerPlan layer_of(const Weight& weight, Format format, std::vector<std::byte> blob, std::int64_t kept,
                   std::int64_t tokens) {
  LayerPlan layer;
  layer.name = std::string(name_of(format));
  layer.rows = weight.shape.rows;
  layer.cols = weight.shape.cols;
  layer.source_dtype = weight.dtype;
  layer.nnz = kept;
  cross::Packing packing;
  packing.arithmetic = weight.dtype == DType::fp32 ? cross::PlanArithmetic::fp32 : cross::PlanArithmetic::mma;
  packing.panels.push_back(
      {0, static_cast<int>(layer.rows), {{format, 0, layer.cols, 0, blob.size(), 0, 0}}});
  blob.resize(cross::formats::round_up(blob.size(), 64) + cross::formats::segment_overread);
  packing.data = cross::Blob::own(std::move(blob));
  layer.packings.push_back(std::move(packing));
  cross::Variant variant;
  variant.tokens = tokens;
  variant.shape = "decode";
  layer.variants.push_back(variant);
  return layer;
}

const cross::Segment& segment_of(const LayerPlan& layer) {
  return layer.packings.at(0).panels.at(0).segments.at(0);
}

cross::kernels::cuda::PackedMatrix matrix_of(const LayerPlan& layer, DType dtype) {
  return {layer.packings[0].data.bytes.first(segment_of(layer).bytes), nullptr, dtype};
}

const LayerPlan* PackedForms::find(Format format, std::int64_t count) const {
  const LayerPlan* found = nullptr;
  for (const LayerPlan& layer : layers) {
    if (segment_of(layer).format != format) continue;
    // Layers of a format ascend in the tokens that they were packed for.
    if (found == nullptr || found->variants[0].tokens < count) found = &layer;
  }
  return found;
}

PackedForms bare(Weight weight, const std::vector<std::int64_t>& tokens) {
  static std::atomic<std::uint64_t> made = 0;
  return {std::move(weight), {}, tokens, {}, 0, ++made};
}

PackedForms pack_all(Weight weight, const cross::cuda::DeviceInfo& device, const PackWhat& what,
                     int threads) {
  const auto start = std::chrono::steady_clock::now();
  PackedForms forms = bare(std::move(weight), what.tokens);
  for (const Format format : cross::gpu_formats) {
    if (!what.formats.empty() &&
        std::find(what.formats.begin(), what.formats.end(), format) == what.formats.end())
      continue;
    const auto* kernel = cross::kernels::cuda::gpu_kernel_for(format, device.major, device.minor);
    const auto view = forms.weight.view();
    if (kernel == nullptr || !cross::compiler::gpu_format_refuses(view, view.dtype, format).empty()) continue;
    if (!cross::compiler::gpu_worth(view, view.dtype, format, threads).never_pays.empty()) continue;
    const std::int64_t many =
        std::min<std::int64_t>(kernel->max_tokens, *std::max_element(what.tokens.begin(), what.tokens.end()));
    cross::compiler::GpuTarget target{device.sms, device.shared_bytes, few_tokens};
    bool serves_many = many <= few_tokens;
    if (std::any_of(what.tokens.begin(), what.tokens.end(), [](auto t) { return t <= few_tokens; })) {
      forms.layers.push_back(packed(forms.weight, format, target, threads));
      // What runs many tokens as well was not packed for few in particular.
      serves_many =
          serves_many ||
          kernel->refuses(matrix_of(forms.layers.back(), forms.weight.dtype), many, device.shared_bytes)
              .empty();
    }
    target.tokens = many;
    if (!serves_many) forms.layers.push_back(packed(forms.weight, format, target, threads));
  }
  forms.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return forms;
}

}  // namespace cross_bench
