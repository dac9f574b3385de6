// Lanes along K, for few tokens: every worker copies x for itself (it is small), so there is one parallel
// step only.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>

#include "plan/formats/layout.h"
#include "runtime/layer.h"

namespace cross::runtime {
namespace {

std::int64_t padded_columns(std::int64_t columns) {
  return static_cast<std::int64_t>(formats::round_up(static_cast<std::size_t>(columns), 64));
}

std::size_t x_bytes(const LayerContext& context, const PackingContext& packing, std::int64_t tokens) {
  const std::size_t size = packing.arithmetic == kernels::Arithmetic::bf16_pair ? 2 : 4;
  return static_cast<std::size_t>(tokens * padded_columns(context.layer.cols)) * size;
}

std::size_t worker_bytes(const LayerContext& context, const PackingContext& packing, std::int64_t tokens) {
  return x_bytes(context, packing, tokens) +
         formats::round_up(static_cast<std::size_t>(packing.most_rows) * static_cast<std::size_t>(tokens) * 4,
                           64);
}

}  // namespace

std::size_t dot_workspace(const LayerContext& context, const PackingContext& packing, std::int64_t tokens) {
  const std::int64_t most = std::min<std::int64_t>(tokens, kernels::max_dot_tokens);
  return worker_bytes(context, packing, most) * static_cast<std::size_t>(context.executor.workers());
}

void run_dot(const LayerContext& context, const PackingContext& packing, const Variant& variant,
             const RunArgs& args) {
  const LayerPlan& layer = context.layer;
  const std::size_t element = size_of(context.dtype);
  const std::int64_t stride = padded_columns(layer.cols);
  const int workers = context.executor.workers();

  for (std::int64_t first = 0; first < args.tokens; first += kernels::max_dot_tokens) {
    const auto tokens =
        static_cast<int>(std::min<std::int64_t>(kernels::max_dot_tokens, args.tokens - first));
    std::atomic<bool> all_finite = true;
    context.executor.run([&](int worker) {
      const auto start = std::chrono::steady_clock::now();
      std::byte* x =
          args.workspace.data() + static_cast<std::size_t>(worker) * worker_bytes(context, packing, tokens);
      auto* acc = reinterpret_cast<float*>(x + x_bytes(context, packing, tokens));
      const std::size_t x_row = x_bytes(context, packing, 1);
      bool finite = true;
      for (int t = 0; t < tokens; ++t) {
        const auto* source = static_cast<const std::byte*>(args.x) +
                             static_cast<std::size_t>((first + t) * layer.cols) * element;
        finite = context.activations.pack_dot({source, packing.arithmetic, layer.cols, stride,
                                               x + static_cast<std::size_t>(t) * x_row}) &&
                 finite;
      }
      if (!finite) {
        all_finite = false;
        return;
      }
      for_each_piece(variant, worker, workers, 1, [&](int, int panel_index) {
        const Panel& panel = packing.packing.panels[static_cast<std::size_t>(panel_index)];
        std::memset(acc, 0, static_cast<std::size_t>(panel.rows) * static_cast<std::size_t>(tokens) * 4);
        for (const Segment& segment : panel.segments) {
          if (segment.format == Format::empty) continue;
          const std::size_t column_bytes = x_row / static_cast<std::size_t>(stride);
          packing.dot[static_cast<std::size_t>(segment.format)]->dot(
              {.segment = packing.packing.data.bytes.data() + segment.offset,
               .rows = panel.rows,
               .columns = static_cast<int>(segment.k_end - segment.k_begin),
               .x = x + static_cast<std::size_t>(segment.k_begin) * column_bytes,
               .x_stride = stride,
               .tokens = tokens,
               .acc = acc,
               .acc_stride = panel.rows});
        }
        const std::size_t offset = static_cast<std::size_t>(first * layer.rows) * element;
        const bool bias = args.bias && !context.packed_bias.empty();
        context.activations.epilogue(
            {.acc = acc,
             .row_stride = 1,
             .token_stride = panel.rows,
             .rows = panel.rows,
             .tokens = tokens,
             .activation = args.activation,
             .bias = bias ? context.packed_bias.data() + panel.row_begin : nullptr,
             .residual =
                 args.residual != nullptr ? static_cast<const std::byte*>(args.residual) + offset : nullptr,
             .y = static_cast<std::byte*>(args.y) + offset,
             .y_stride = layer.rows,
             .y_dtype = context.dtype,
             .first_row = panel.row_begin,
             .row_map = layer.row_order.empty() ? nullptr : layer.row_order.data() + panel.row_begin});
      });
      if (context.worker_seconds != nullptr)
        (*context.worker_seconds)[static_cast<std::size_t>(worker)] +=
            std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    });
    // Every worker saw all of x before it stored anything of these tokens.
    if (!all_finite) run_exact(context, packing.packing, part_of(args, context, first, tokens));
  }
}

}  // namespace cross::runtime
