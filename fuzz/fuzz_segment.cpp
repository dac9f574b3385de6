// Packed segments: seven bytes of shape, then the segment. What check_segment accepts, the decoder and every
// kernel must be able to read without leaving it by more than the overread.
#include <algorithm>
#include <cstring>
#include <vector>

#include "cross/error.h"
#include "fuzz_target.h"
#include "kernels/table.h"
#include "plan/formats/decode.h"

namespace {

using namespace cross;
using kernels::Kernel;

int byte_at(std::span<const std::byte> file, std::size_t at) { return static_cast<int>(file[at]); }

formats::SegmentShape shape_of(std::span<const std::byte> head) {
  formats::SegmentShape shape;
  shape.format = all_formats[static_cast<std::size_t>(byte_at(head, 0)) % std::size(all_formats)];
  shape.arithmetic = static_cast<kernels::Arithmetic>(byte_at(head, 1) % 3);
  shape.rows = 1 + byte_at(head, 2) % 70;
  shape.columns = 1 + (byte_at(head, 3) << 8 | byte_at(head, 4)) % 1200;
  if (shape.format == Format::n_m) {
    shape.group = 1 + byte_at(head, 6) % 32;
    shape.keep = 1 + byte_at(head, 5) % shape.group;
  }
  return shape;
}

/// Every allocation has exactly the size that the kernels' contract grants.
void run(const Kernel& kernel, const std::vector<std::byte>& segment, const formats::SegmentShape& shape) {
  const auto rows = formats::round_up(static_cast<std::size_t>(shape.rows), kernels::interleaved_rows);
  if (kernel.dot != nullptr) {
    const std::size_t stride = formats::round_up(static_cast<std::size_t>(shape.columns), 64);
    const std::vector<float> x(stride * 3, 1.0f);
    std::vector<float> acc(static_cast<std::size_t>(shape.rows) * 3);
    kernel.dot({.segment = segment.data(),
                .rows = shape.rows,
                .columns = static_cast<int>(shape.columns),
                .x = reinterpret_cast<const std::byte*>(x.data()),
                .x_stride = static_cast<std::int64_t>(stride),
                .tokens = 3,
                .acc = acc.data(),
                .acc_stride = shape.rows});
    return;
  }
  struct alignas(64) Line {
    float lane[16];
  };
  const std::int64_t elements = formats::elements_of(shape.columns, shape.arithmetic);
  const std::int64_t extent = kernel.k_blocked() ? kernels::k_block_elements : elements;
  const std::int64_t width = 16;
  std::vector<Line> x(static_cast<std::size_t>(elements), Line{{1.0f}});
  std::vector<Line> acc(rows);
  const std::byte* chunk = segment.data();
  for (std::int64_t e = 0; e < elements; e += extent)
    chunk = kernel.tile({.chunk = chunk,
                         .rows = shape.rows,
                         .elements = static_cast<int>(std::min(extent, elements - e)),
                         .x = reinterpret_cast<const std::byte*>(x.data() + e),
                         .acc = acc[0].lane,
                         .vectors = static_cast<int>(width / kernel.lanes)});
  if (chunk != segment.data() + segment.size() - formats::segment_overread)
    throw InternalError("a kernel does not end where its segment does");
}

}  // namespace

void parse(std::span<const std::byte> file) {
  constexpr std::size_t head = 7;
  if (file.size() < head) return;
  const formats::SegmentShape shape = shape_of(file.first(head));
  // A block of its own, so that a sanitizer sees reads past the end.
  std::vector<std::byte> segment(file.begin() + head, file.end());
  const auto checked = formats::check_segment(segment, shape);
  if (!checked.error.empty()) return;
  if (checked.bytes > segment.size()) throw InternalError("a segment longer than its bytes was accepted");
  segment.resize(checked.bytes);
  segment.shrink_to_fit();
  formats::decode_segment(segment, shape, [&](int row, std::int64_t column, std::uint32_t) {
    if (row < 0 || row >= shape.rows || column < 0 || column >= shape.columns)
      throw InternalError("the decoder leaves the matrix");
  });
  if (shape.format == Format::dense || shape.format == Format::empty) return;
  segment.resize(checked.bytes + formats::segment_overread);
  for (const Kernel& kernel : kernels::all_kernels())
    if (kernel.isa <= kernels::active_isa() && kernel.format == shape.format &&
        kernel.arithmetic == shape.arithmetic)
      run(kernel, segment, shape);
}
