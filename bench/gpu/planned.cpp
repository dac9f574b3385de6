#include "gpu/planned.h"

#include "compiler/compile_layer.h"

namespace cross_bench {

cross::LayerPlan planned(const Weight& weight, std::int64_t tokens, const cross::CostProfile& profile,
                         const cross::driver::cuda::Target& target, bool measure, int threads) {
  cross::CompileOptions options;
  options.device = "cuda";
  options.dtype = weight.dtype;
  options.tokens = {tokens};
  options.threads = threads;
  return cross::compiler::compile_layer({"sample", weight.view(), {}},
                                        {options, profile, cross::kernels::Isa::scalar, &target.family,
                                         measure ? target.measurer.get() : nullptr, [] {}});
}

std::string way_of(const cross::LayerPlan& plan, std::int64_t tokens) {
  const cross::Variant& variant = plan.variant_for(tokens);
  if (variant.shape == "library") return "dense";
  const auto format =
      plan.packings[static_cast<std::size_t>(variant.packing)].panels.at(0).segments.at(0).format;
  return (variant.shape == "decode" ? "" : variant.shape + " ") + std::string(name_of(format));
}

}  // namespace cross_bench
