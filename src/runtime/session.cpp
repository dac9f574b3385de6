#include "cross/session.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "base/mapped_file.h"
#include "base/quote.h"
#include "cross/error.h"
#include "kernels/dense/dense_product.h"
#include "kernels/isa.h"
#include "plan/formats/layout.h"
#include "runtime/layer.h"

namespace cross {
namespace runtime {

PackingContext make_packing_context(const LayerPlan& layer, const Packing& packing) {
  PackingContext context{.packing = packing,
                         .arithmetic = static_cast<kernels::Arithmetic>(packing.arithmetic)};
  for (const kernels::Kernel* kernel : kernels::kernels_for(context.arithmetic, kernels::active_isa())) {
    (kernel->tile != nullptr ? context.tile : context.dot)[static_cast<std::size_t>(kernel->format)] = kernel;
    context.lanes = kernel->lanes;
  }
  std::vector<std::int32_t> acc_rows(packing.dense() ? 0 : static_cast<std::size_t>(layer.rows));
  std::int32_t begin = 0;
  bool in_order = true;
  for (const Panel& panel : packing.panels) {
    for (int r = 0; r < panel.rows; ++r) {
      const auto packed = static_cast<std::size_t>(panel.row_begin + r);
      const auto output =
          layer.row_order.empty() ? packed : static_cast<std::size_t>(layer.row_order[packed]);
      acc_rows[output] = begin + r;
      in_order = in_order && static_cast<std::int64_t>(output) == begin + r;
    }
    const auto rows =
        static_cast<int>(formats::round_up(static_cast<std::size_t>(panel.rows), kernels::interleaved_rows));
    context.panel_begin.push_back(begin);
    context.most_rows = std::max(context.most_rows, rows);
    begin += rows;
  }
  context.panel_begin.push_back(begin);
  if (!in_order) context.acc_rows = std::move(acc_rows);
  return context;
}

}  // namespace runtime

using runtime::LayerContext;
using runtime::PackingContext;

struct Session::Impl {
  /// What a layer needs that the plan does not store.
  struct Layer {
    std::vector<PackingContext> packings;
    std::vector<float> packed_bias;
    /// Per token count, with the layer's bias or without.
    std::map<std::pair<std::int64_t, bool>, std::unique_ptr<kernels::DenseProduct>> dense;
  };

  const Plan& plan;
  Executor& executor;
  const kernels::ActivationKernels& activations;
  std::vector<Layer> layers;
  std::vector<double> worker_seconds;
  bool measure = false;

  const LayerPlan& layer(std::size_t index) const {
    if (index >= plan.layers.size())
      throw UsageError(
          fmt::format("the plan has {} layers; layer {} does not exist", plan.layers.size(), index));
    return plan.layers[index];
  }

  void check_workspace(const RunArgs& args, std::size_t needed) const {
    if (args.workspace.size() < needed || reinterpret_cast<std::uintptr_t>(args.workspace.data()) % 64 != 0)
      throw UsageError(fmt::format("the workspace has {} bytes; this call needs {}, aligned to 64",
                                   args.workspace.size(), needed));
  }

  /// What the first layer of a chain gives, where it must be stored.
  std::size_t between_bytes(std::size_t index, std::int64_t tokens) const {
    return formats::round_up(static_cast<std::size_t>(tokens * layer(index).rows) * size_of(plan.dtype), 64);
  }

  LayerContext context(std::size_t index) {
    return {plan.layers[index],
            plan.dtype,
            executor,
            activations,
            layers[index].packed_bias,
            measure ? &worker_seconds : nullptr};
  }

  /// Library handles are bound to a token count; they are made on first use and kept.
  kernels::DenseProduct& dense(std::size_t index, const Variant& variant, std::int64_t tokens, bool bias) {
    const LayerPlan& layer = plan.layers[index];
    auto& products = layers[index].dense;
    const std::pair key(tokens, bias && !layer.bias.empty());
    const auto found = products.find(key);
    if (found != products.end()) return *found->second;
    const auto library = kernels::dense_library_from_name(variant.library);
    const Blob& weights = layer.packings[static_cast<std::size_t>(variant.packing)].data;
    std::vector<const kernels::DenseProduct*> alike;
    for (const auto& [other_key, other] : products) alike.push_back(other.get());
    const kernels::DenseProblem problem{.dtype = plan.dtype,
                                        .rows = layer.rows,
                                        .cols = layer.cols,
                                        .tokens = tokens,
                                        .threads = executor.workers(),
                                        .weights = weights.bytes.data(),
                                        .bias = key.second ? layer.bias.data() : nullptr,
                                        .alike = alike};
    auto product = library ? kernels::make_dense_product(*library, problem) : nullptr;
    // The library that the plan prefers may be missing from this build: any other computes the same.
    if (product == nullptr)
      product = kernels::make_dense_product(kernels::require_dense_libraries().front(), problem);
    // The library's copy is the one that runs: the file's bytes need no memory beside it.
    if (product->copied() && weights.mapped) base::drop_mapped_pages(weights.bytes);
    // A product may hold a packed copy of its own: keep few.
    if (products.size() >= 4) products.clear();
    return *products.emplace(key, std::move(product)).first->second;
  }

  bool run_dense(std::size_t index, const Variant& variant, const RunArgs& args) {
    const LayerPlan& layer = plan.layers[index];
    if (!activations.all_finite(static_cast<const std::byte*>(args.x), args.tokens * layer.cols, plan.dtype))
      return false;
    // The library adds the bias; what comes after is ours, in place unless y still holds the residual.
    auto& product = dense(index, variant, args.tokens, args.bias);
    std::byte* out = args.residual == args.y ? args.workspace.data() : static_cast<std::byte*>(args.y);
    product.run(static_cast<const std::byte*>(args.x), out);
    if (args.activation != Activation::none || args.residual != nullptr) finish_dense(layer, args, out);
    return true;
  }

  void finish_dense(const LayerPlan& layer, const RunArgs& args, const std::byte* product) {
    const std::size_t size = static_cast<std::size_t>(args.tokens * layer.rows) * size_of(plan.dtype);
    auto* wide = reinterpret_cast<float*>(args.workspace.data() + formats::round_up(size, 64));
    const int workers = executor.workers();
    executor.run([&](int worker) {
      const std::int64_t begin = args.tokens * worker / workers;
      const std::int64_t end = args.tokens * (worker + 1) / workers;
      const auto offset = static_cast<std::size_t>(begin * layer.rows) * size_of(plan.dtype);
      const float* acc = reinterpret_cast<const float*>(product) + begin * layer.rows;
      if (plan.dtype != DType::fp32) {
        const auto* bits = reinterpret_cast<const std::uint16_t*>(product);
        for (std::int64_t i = begin * layer.rows; i < end * layer.rows; ++i)
          wide[i] = float_from_bf16(bits[i]);
        acc = wide + begin * layer.rows;
      }
      activations.epilogue({.acc = acc,
                            .row_stride = 1,
                            .token_stride = layer.rows,
                            .rows = static_cast<int>(layer.rows),
                            .tokens = static_cast<int>(end - begin),
                            .activation = args.activation,
                            .bias = nullptr,
                            .residual = args.residual != nullptr
                                            ? static_cast<const std::byte*>(args.residual) + offset
                                            : nullptr,
                            .y = static_cast<std::byte*>(args.y) + offset,
                            .y_stride = layer.rows,
                            .y_dtype = plan.dtype,
                            .first_row = 0});
    });
  }

  /// Calls fused(chain) if the two layers can run as one chain at this token count.
  template <class Fused>
  bool chained(std::size_t first, std::size_t second, const RunArgs& args, Activation between, Fused fused) {
    const std::int64_t tokens = args.tokens;
    const Variant& up = layer(first).variant_for(tokens);
    const Variant& down = layer(second).variant_for(tokens);
    for (const Variant* variant : {&up, &down})
      if (variant->shape != "tile" || !runtime::deals_tokens(*variant, tokens, executor.workers()))
        return false;
    const PackingContext& first_packing = layers[first].packings[static_cast<std::size_t>(up.packing)];
    const PackingContext& second_packing = layers[second].packings[static_cast<std::size_t>(down.packing)];
    if (first_packing.arithmetic != second_packing.arithmetic) return false;
    const LayerContext contexts[] = {context(first), context(second)};
    const runtime::ChainLink chain[] = {{contexts[0], first_packing, between, args.bias},
                                        {contexts[1], second_packing, args.activation, args.bias}};
    fused(std::span<const runtime::ChainLink>(chain));
    return true;
  }
};

Session::Session(const Plan& plan, Executor& executor)
    : impl_(new Impl{plan,
                     executor,
                     kernels::active_isa() == kernels::Isa::scalar ? kernels::scalar_activations
                                                                   : kernels::avx2_activations,
                     {},
                     {},
                     false}) {
  impl_->layers.resize(plan.layers.size());
  impl_->worker_seconds.resize(static_cast<std::size_t>(executor.workers()));
  for (std::size_t i = 0; i < plan.layers.size(); ++i) {
    const LayerPlan& layer = plan.layers[i];
    for (const Packing& packing : layer.packings) {
      if (packing.arithmetic == PlanArithmetic::bf16_pair &&
          kernels::active_isa() != kernels::Isa::avx512_bf16)
        throw DeviceError(
            fmt::format("layer {} needs a CPU with AVX512_BF16 and AVX512_VBMI2; this one has {}",
                        base::in_quotes(layer.name), name_of(kernels::active_isa())));
      impl_->layers[i].packings.push_back(runtime::make_packing_context(layer, packing));
    }
    auto& bias = impl_->layers[i].packed_bias;
    bias = layer.bias;
    if (!layer.row_order.empty())
      for (std::size_t r = 0; r < bias.size(); ++r)
        bias[r] = layer.bias[static_cast<std::size_t>(layer.row_order[r])];
  }
}

Session::~Session() = default;
Session::Session(Session&&) noexcept = default;

std::size_t Session::workspace_bytes(std::size_t index, std::int64_t tokens) const {
  const LayerPlan& layer = impl_->layer(index);
  if (tokens <= 0) return 0;
  const Variant& variant = layer.variant_for(tokens);
  const PackingContext& packing = impl_->layers[index].packings[static_cast<std::size_t>(variant.packing)];
  const LayerContext context = impl_->context(index);
  if (packing.packing.dense()) {
    const auto outputs = static_cast<std::size_t>(tokens * layer.rows);
    return formats::round_up(outputs * size_of(impl_->plan.dtype), 64) + outputs * 4;
  }
  if (variant.shape == "dot") return runtime::dot_workspace(context, packing, tokens);
  if (runtime::deals_tokens(variant, tokens, impl_->executor.workers())) {
    const runtime::ChainLink link{context, packing, Activation::none, true};
    return runtime::by_token_workspace({&link, 1}, tokens);
  }
  return runtime::tile_workspace(context, packing, variant, tokens);
}

void Session::run(std::size_t index, const RunArgs& args) {
  const LayerPlan& layer = impl_->layer(index);
  if (args.tokens < 0) throw UsageError(fmt::format("tokens is {}; it must not be negative", args.tokens));
  if (args.tokens == 0) return;
  impl_->check_workspace(args, workspace_bytes(index, args.tokens));
  const Variant& variant = layer.variant_for(args.tokens);
  const PackingContext& packing = impl_->layers[index].packings[static_cast<std::size_t>(variant.packing)];
  const LayerContext context = impl_->context(index);
  if (impl_->measure) std::fill(impl_->worker_seconds.begin(), impl_->worker_seconds.end(), 0.0);
  if (packing.packing.dense()) {
    if (!impl_->run_dense(index, variant, args)) runtime::run_exact(context, packing.packing, args);
  } else if (variant.shape == "dot") {
    runtime::run_dot(context, packing, variant, args);
  } else if (runtime::deals_tokens(variant, args.tokens, impl_->executor.workers())) {
    const runtime::ChainLink link{context, packing, args.activation, args.bias};
    runtime::run_by_token({&link, 1}, args);
  } else {
    runtime::run_tile(context, packing, variant, args);
  }
}

std::size_t Session::chain_workspace_bytes(std::size_t first, std::size_t second, std::int64_t tokens) const {
  if (tokens <= 0) return 0;
  std::size_t bytes = 0;
  const auto fused = [&](std::span<const runtime::ChainLink> chain) {
    bytes = runtime::by_token_workspace(chain, tokens);
  };
  RunArgs args;
  args.tokens = tokens;
  if (impl_->chained(first, second, args, Activation::none, fused)) return bytes;
  return impl_->between_bytes(first, tokens) +
         std::max(workspace_bytes(first, tokens), workspace_bytes(second, tokens));
}

void Session::run_chain(std::size_t first, std::size_t second, Activation between, const RunArgs& args) {
  const LayerPlan& up = impl_->layer(first);
  const LayerPlan& down = impl_->layer(second);
  if (up.rows != down.cols)
    throw UsageError(fmt::format("layer {} gives {} values a token; layer {} takes {}",
                                 base::in_quotes(up.name), up.rows, base::in_quotes(down.name), down.cols));
  if (args.tokens <= 0) return;
  impl_->check_workspace(args, chain_workspace_bytes(first, second, args.tokens));
  const auto fused = [&](std::span<const runtime::ChainLink> chain) { runtime::run_by_token(chain, args); };
  if (impl_->chained(first, second, args, between, fused)) return;
  const std::size_t bytes = impl_->between_bytes(first, args.tokens);
  RunArgs one = args, two = args;
  one.y = args.workspace.data();
  one.residual = nullptr;
  one.activation = between;
  two.x = one.y;
  one.workspace = two.workspace = args.workspace.subspan(bytes);
  run(first, one);
  run(second, two);
}

std::span<const double> Session::worker_seconds() const { return impl_->worker_seconds; }
void Session::measure_workers(bool on) { impl_->measure = on; }

std::span<const std::byte> Session::weights(std::size_t index, std::int64_t tokens) {
  const LayerPlan& layer = impl_->layer(index);
  const Variant& variant = layer.variant_for(tokens);
  const Packing& packing = layer.packings[static_cast<std::size_t>(variant.packing)];
  return packing.dense() ? impl_->dense(index, variant, tokens, true).packed() : packing.data.bytes;
}

}  // namespace cross
