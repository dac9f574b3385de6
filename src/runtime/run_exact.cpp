// The path for activations with Inf or NaN: only kept positions are multiplied, one by one.
#include "cross/error.h"
#include "plan/formats/decode.h"
#include "runtime/layer.h"

namespace cross::runtime {
namespace {

std::vector<float> widened(const void* x, DType dtype, std::int64_t count) {
  std::vector<float> values(static_cast<std::size_t>(count));
  for (std::int64_t i = 0; i < count; ++i)
    values[static_cast<std::size_t>(i)] = dtype == DType::fp32
                                              ? static_cast<const float*>(x)[i]
                                              : float_from_bf16(static_cast<const std::uint16_t*>(x)[i]);
  return values;
}

}  // namespace

RunArgs part_of(const RunArgs& args, const LayerContext& context, std::int64_t first, std::int64_t tokens) {
  const auto bytes = [&](std::int64_t columns) {
    return static_cast<std::size_t>(first * columns) * size_of(context.dtype);
  };
  RunArgs part = args;
  part.x = static_cast<const std::byte*>(args.x) + bytes(context.layer.cols);
  part.y = static_cast<std::byte*>(args.y) + bytes(context.layer.rows);
  if (args.residual != nullptr)
    part.residual = static_cast<const std::byte*>(args.residual) + bytes(context.layer.rows);
  part.tokens = tokens;
  return part;
}

void run_exact(const LayerContext& context, const Packing& packing, const RunArgs& args) {
  const LayerPlan& layer = context.layer;
  const auto arithmetic = static_cast<formats::Arithmetic>(packing.arithmetic);
  const std::vector<float> x = widened(args.x, context.dtype, args.tokens * layer.cols);
  std::vector<float> acc(static_cast<std::size_t>(args.tokens * layer.rows));  // [tokens][packed rows]

  const auto accumulate = [&](std::int64_t first_row, std::int64_t first_column) {
    return [&, first_row, first_column](int row, std::int64_t column, std::uint32_t bits) {
      if (bits == 0) return;
      const float weight = context.dtype == DType::fp32 ? std::bit_cast<float>(bits)
                                                        : float_from_bf16(static_cast<std::uint16_t>(bits));
      for (std::int64_t t = 0; t < args.tokens; ++t)
        acc[static_cast<std::size_t>(t * layer.rows + first_row + row)] +=
            weight * x[static_cast<std::size_t>(t * layer.cols + first_column + column)];
    };
  };
  if (packing.dense()) {
    const formats::SegmentShape shape{Format::dense, arithmetic, static_cast<int>(layer.rows), layer.cols};
    formats::decode_segment(packing.data.bytes, shape, accumulate(0, 0));
  }
  for (const Panel& panel : packing.panels)
    for (const Segment& s : panel.segments) {
      const formats::SegmentShape shape{s.format, arithmetic, panel.rows, s.k_end - s.k_begin,
                                        s.keep,   s.group};
      formats::decode_segment(packing.data.bytes.subspan(s.offset, s.bytes), shape,
                              accumulate(panel.row_begin, s.k_begin));
    }

  // A dense packing stands in row order of W; the others in packed order.
  const bool natural = packing.dense() || layer.row_order.empty();
  const float* bias = packing.dense() ? layer.bias.data() : context.packed_bias.data();
  context.activations.epilogue({.acc = acc.data(),
                                .row_stride = 1,
                                .token_stride = layer.rows,
                                .rows = static_cast<int>(layer.rows),
                                .tokens = static_cast<int>(args.tokens),
                                .activation = args.activation,
                                .bias = args.bias && !layer.bias.empty() ? bias : nullptr,
                                .residual = static_cast<const std::byte*>(args.residual),
                                .y = static_cast<std::byte*>(args.y),
                                .y_stride = layer.rows,
                                .y_dtype = context.dtype,
                                .first_row = 0,
                                .row_map = natural ? nullptr : layer.row_order.data()});
}

}  // namespace cross::runtime
