#include "driver/decoded_panels.h"

#include <algorithm>

#include "plan/formats/gpu/packed.h"

namespace cross::driver {
namespace {

constexpr std::int64_t dense_panel_rows = 64;

}  // namespace

std::size_t panel_count(const LayerPlan& layer, const Packing& packing) {
  if (!packing.dense()) return packing.panels.size();
  return static_cast<std::size_t>((layer.rows + dense_panel_rows - 1) / dense_panel_rows);
}

RowRange panel_rows(const LayerPlan& layer, const Packing& packing, std::size_t panel) {
  if (!packing.dense()) return {packing.panels[panel].row_begin, packing.panels[panel].rows};
  const std::int64_t begin = static_cast<std::int64_t>(panel) * dense_panel_rows;
  return {begin, static_cast<int>(std::min(dense_panel_rows, layer.rows - begin))};
}

void decode_panel(const LayerPlan& layer, const Packing& packing, std::size_t panel,
                  const formats::Visitor& visit) {
  // Dense matrices of a CUDA plan hold 16-bit values too.
  const auto arithmetic = packing.arithmetic == PlanArithmetic::mma
                              ? formats::Arithmetic::bf16_widened
                              : static_cast<formats::Arithmetic>(packing.arithmetic);
  if (packing.dense()) {
    const RowRange range = panel_rows(layer, packing, panel);
    const std::size_t row_bytes =
        static_cast<std::size_t>(layer.cols) * formats::value_bytes(Format::dense, arithmetic);
    formats::decode_segment(packing.data.bytes.subspan(static_cast<std::size_t>(range.begin) * row_bytes),
                            {Format::dense, arithmetic, range.rows, layer.cols}, visit);
    return;
  }
  const Panel& rows = packing.panels[panel];
  for (const Segment& s : rows.segments) {
    if (is_gpu_format(s.format)) {
      formats::gpu::decode(packing.data.bytes.subspan(s.offset, s.bytes),
                           [&](std::int64_t row, std::int64_t column, std::uint32_t bits) {
                             visit(static_cast<int>(row), column, bits);
                           });
      continue;
    }
    const formats::SegmentShape shape{s.format, arithmetic, rows.rows, s.k_end - s.k_begin, s.keep, s.group};
    formats::decode_segment(
        packing.data.bytes.subspan(s.offset, s.bytes), shape,
        [&](int row, std::int64_t column, std::uint32_t bits) { visit(row, s.k_begin + column, bits); });
  }
}

std::int64_t source_row(const LayerPlan& layer, const Packing& packing, std::int64_t packed_row) {
  if (packing.dense() || layer.row_order.empty()) return packed_row;
  return layer.row_order[static_cast<std::size_t>(packed_row)];
}

}  // namespace cross::driver
