#include "plan/unpack.h"

#include <algorithm>
#include <cstring>
#include <iterator>

#include "plan/formats/decode.h"
#include "plan/formats/gpu/packed.h"

namespace cross {

std::vector<std::byte> unpack(const LayerPlan& layer, const Packing& packing, DType dtype) {
  const std::size_t size = size_of(dtype);
  std::vector<std::byte> dense(static_cast<std::size_t>(layer.rows * layer.cols) * size);
  if (packing.dense()) {
    std::memcpy(dense.data(), packing.data.bytes.data(), dense.size());
    return dense;
  }
  const auto arithmetic = static_cast<formats::Arithmetic>(packing.arithmetic);
  for (const Panel& panel : packing.panels)
    for (const Segment& s : panel.segments) {
      if (is_gpu_format(s.format)) {
        formats::gpu::decode(packing.data.bytes.subspan(s.offset, s.bytes), [&](std::int64_t row,
                                                                                std::int64_t column,
                                                                                std::uint32_t bits) {
          std::memcpy(dense.data() + static_cast<std::size_t>(row * layer.cols + column) * size, &bits, size);
        });
        continue;
      }
      const formats::SegmentShape shape{s.format, arithmetic, panel.rows, s.k_end - s.k_begin,
                                        s.keep,   s.group};
      formats::decode_segment(
          packing.data.bytes.subspan(s.offset, s.bytes), shape,
          [&](int row, std::int64_t column, std::uint32_t bits) {
            const auto packed = static_cast<std::size_t>(panel.row_begin + row);
            const std::int64_t out =
                layer.row_order.empty() ? static_cast<std::int64_t>(packed) : layer.row_order[packed];
            // Little-endian: the low bytes of `bits` are the value in either dtype.
            std::memcpy(dense.data() + static_cast<std::size_t>(out * layer.cols + s.k_begin + column) * size,
                        &bits, size);
          });
    }
  return dense;
}

RowReader::RowReader(const LayerPlan& layer, DType dtype)
    : layer_(layer), packing_(&layer.packings.front()), dtype_(dtype) {
  for (const Packing& packing : layer.packings)
    if (packing.dense()) packing_ = &packing;
  if (packing_->dense()) return;
  packed_rows_.resize(layer.row_order.size());
  for (std::size_t i = 0; i < layer.row_order.size(); ++i)
    packed_rows_[static_cast<std::size_t>(layer.row_order[i])] = static_cast<std::int32_t>(i);
}

void RowReader::read(std::int64_t row, std::byte* out) const {
  const std::size_t size = size_of(dtype_), bytes = static_cast<std::size_t>(layer_.cols) * size;
  if (packing_->dense()) {
    std::memcpy(out, packing_->data.bytes.data() + static_cast<std::size_t>(row) * bytes, bytes);
    return;
  }
  std::memset(out, 0, bytes);
  const std::int64_t packed =
      packed_rows_.empty() ? row : static_cast<std::int64_t>(packed_rows_[static_cast<std::size_t>(row)]);
  // Panels tile the rows in ascending order.
  const auto panel = std::prev(
      std::upper_bound(packing_->panels.begin(), packing_->panels.end(), packed,
                       [](std::int64_t value, const Panel& next) { return value < next.row_begin; }));
  for (const Segment& s : panel->segments)
    formats::decode_row(packing_->data.bytes.subspan(s.offset, s.bytes),
                        {s.format, static_cast<formats::Arithmetic>(packing_->arithmetic), panel->rows,
                         s.k_end - s.k_begin, s.keep, s.group},
                        static_cast<int>(packed - panel->row_begin),
                        [&](int, std::int64_t column, std::uint32_t bits) {
                          std::memcpy(out + static_cast<std::size_t>(s.k_begin + column) * size, &bits, size);
                        });
}

}  // namespace cross
