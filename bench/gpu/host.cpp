#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "cross/cuda.h"
#include "cuda/memory.h"
#include "gpu/parts.h"

namespace cross_bench {
namespace {

/// µs of host time per run: bursts that the GPU's queue holds, the fastest burst of many (others are
/// disturbed by the system).
double host_us(const cross::cuda::Session& session, const Weight& weight, std::int64_t tokens, bool overlap) {
  constexpr int burst = 200, bursts = 30;
  const auto bytes = [&](std::int64_t n) { return static_cast<std::size_t>(tokens * n) * 2; };
  const cross::cuda::DeviceBuffer x(bytes(weight.shape.cols), "x"), y(bytes(weight.shape.rows), "y");
  const cross::cuda::DeviceBuffer workspace(session.workspace_bytes(0, tokens), "a workspace");
  x.fill(0);
  const cross::cuda::Stream stream;
  session.prepare_workspace(workspace.data(), workspace.size(), stream.get());
  cross::cuda::RunArgs args;
  args.x = x.data();
  args.y = y.data();
  args.tokens = tokens;
  args.workspace = workspace.data();
  args.workspace_bytes = workspace.size();
  args.overlap = overlap;
  session.run(0, args, stream.get());
  stream.wait();
  std::vector<double> samples;
  for (int b = 0; b < bursts; ++b) {
    const auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < burst; ++i) session.run(0, args, stream.get());
    const double us =
        std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - start).count();
    samples.push_back(us / burst);
    stream.wait();
  }
  std::sort(samples.begin(), samples.end());
  return samples[samples.size() / 2];
}

}  // namespace

nlohmann::json host_part(Arena& arena, const PartOptions& options) {
  const std::vector<std::int64_t> tokens =
      options.tokens.empty() ? std::vector<std::int64_t>{1, 8, 64, 1024} : options.tokens;
  constexpr std::int64_t few_tokens = 64;  // beyond them kernels for many
  // Small, so that the GPU keeps up and its queue never fills.
  const Shape shape{512, 512};
  const PackedForms forms = pack_all(iid_weight(options.type(), shape, 0.3, options.seed), arena.device(),
                                     {tokens, options.formats}, options.threads);
  fmt::print("{}: host us per product when enqueued eagerly ({}), plain and with overlap\n",
             arena.device().name, text_of(shape));
  nlohmann::json rows = nlohmann::json::array();
  const auto measure = [&](cross::LayerPlan layer, const std::string& name) {
    for (const std::int64_t t : tokens) {
      cross::Plan plan;
      plan.device = "cuda";
      plan.dtype = options.type();
      layer.variants[0].tokens = t;
      if (layer.variants[0].shape != "library")
        layer.variants[0].shape = t > few_tokens ? "prefill" : "decode";
      plan.layers.push_back(layer);
      const cross::cuda::Session session(plan, arena.device().index);
      const double plain = host_us(session, forms.weight, t, false),
                   chain = host_us(session, forms.weight, t, true);
      fmt::print("{:>12} N={:<4} {:>6.2f} {:>6.2f}  {}\n", name, t, plain, chain, session.kernel(0, t));
      rows.push_back({{"name", name}, {"tokens", t}, {"host_us", plain}, {"chain_host_us", chain}});
    }
  };
  for (const cross::Format format : cross::gpu_formats)
    if (const cross::LayerPlan* layer = forms.find(format, few_tokens))
      measure(*layer, std::string(name_of(format)));
  cross::LayerPlan dense;
  dense.name = "dense";
  dense.rows = shape.rows;
  dense.cols = shape.cols;
  cross::Packing packing;
  packing.arithmetic = cross::PlanArithmetic::mma;
  packing.data = cross::Blob::own(std::vector<std::byte>(forms.weight.bytes));
  dense.packings.push_back(std::move(packing));
  dense.variants.emplace_back();
  dense.variants[0].shape = "library";
  dense.variants[0].library = "cublaslt";
  measure(dense, "dense");
  return {{"rows", rows}};
}

}  // namespace cross_bench
