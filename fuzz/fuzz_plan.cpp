// Plan files (plan_input.h). Small layers of an accepted plan are run, those for GPUs decoded.
#include <algorithm>

#include "cross/error.h"
#include "cross/session.h"
#include "fuzz_target.h"
#include "plan/unpack.h"
#include "plan_input.h"

namespace {

using namespace cross;

void run_layer(Session& session, const LayerPlan& layer, std::size_t index, DType dtype) {
  for (const Variant& variant : layer.variants) {
    const std::int64_t tokens = std::min<std::int64_t>(variant.tokens, 70);
    if (&layer.variant_for(tokens) != &variant || variant.shape == "library") continue;
    const std::vector<std::byte> x(static_cast<std::size_t>(tokens * layer.cols) * size_of(dtype));
    std::vector<std::byte> y(static_cast<std::size_t>(tokens * layer.rows) * size_of(dtype));
    struct alignas(64) Line {
      std::byte bytes[64];
    };
    const std::size_t needed = session.workspace_bytes(index, tokens);
    if (needed > std::size_t{1} << 26) continue;
    std::vector<Line> workspace((needed + 63) / 64);
    session.run(index, {.x = x.data(),
                        .y = y.data(),
                        .tokens = tokens,
                        .workspace = std::as_writable_bytes(std::span(workspace))});
  }
}

}  // namespace

void parse(std::span<const std::byte> file) {
  const std::string made = fuzz::plan_file(file);
  const Plan plan = Plan::parse(std::as_bytes(std::span(made)), "f.cross");
  if (plan.device == "cuda") {
    for (const LayerPlan& layer : plan.layers)
      if (layer.rows <= 2048 && layer.cols <= 2048)
        for (const Packing& packing : layer.packings) unpack(layer, packing, plan.dtype);
    return;
  }
  const auto executor = make_thread_executor(1);
  Session session(plan, *executor);
  for (std::size_t i = 0; i < plan.layers.size(); ++i)
    if (plan.layers[i].rows <= 2048 && plan.layers[i].cols <= 2048)
      run_layer(session, plan.layers[i], i, plan.dtype);
}
