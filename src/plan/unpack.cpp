#include "plan/unpack.h"

#include <cstring>

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
                                                                                std::uint16_t bits) {
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

}  // namespace cross
