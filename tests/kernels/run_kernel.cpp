#include "kernels/run_kernel.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <numeric>

#include "compiler/pack/pack.h"
#include "support/guarded_buffer.h"

namespace cross::kernels::testing {
namespace {

using cross::testing::GuardedBuffer;

KernelResult run_tile(const Kernel& kernel, const std::byte* segment, int rows, const Array& x, int vectors,
                      float initial) {
  const auto tokens = static_cast<int>(x.rows());
  if (vectors == 0) {
    const std::vector<int> widths = tile_vectors(kernel.lanes);
    vectors = *std::lower_bound(widths.begin(), widths.end(), (tokens + kernel.lanes - 1) / kernel.lanes);
  }
  const std::int64_t width = vectors * kernel.lanes;
  const std::int64_t elements = formats::elements_of(x.cols(), kernel.arithmetic);
  // An even number of elements keeps the start 64-byte aligned at the narrowest tile.
  const auto padded = static_cast<std::int64_t>(formats::round_up(static_cast<std::size_t>(elements), 2));
  GuardedBuffer packed(static_cast<std::size_t>(padded * width) * 4);
  activations_for(kernel.isa)
      .pack_tile({.x = x.bytes().data(),
                  .row_bytes = x.cols() * static_cast<std::int64_t>(size_of(x.dtype())),
                  .arithmetic = kernel.arithmetic,
                  .tokens = tokens,
                  .width = static_cast<int>(width),
                  .columns = x.cols(),
                  .element_begin = 0,
                  .element_end = padded,
                  .out = packed.data()});

  const auto padded_rows = formats::round_up(static_cast<std::size_t>(rows), interleaved_rows);
  GuardedBuffer acc(padded_rows * static_cast<std::size_t>(width) * 4);
  std::fill_n(acc.floats(), padded_rows * static_cast<std::size_t>(width), initial);

  const std::int64_t extent = kernel.k_blocked() ? k_block_elements : elements;
  const std::byte* chunk = segment;
  for (std::int64_t e = 0; e < elements; e += extent)
    chunk = kernel.tile({.chunk = chunk,
                         .rows = rows,
                         .elements = static_cast<int>(std::min(extent, elements - e)),
                         .x = packed.data() + e * width * 4,
                         .acc = acc.floats(),
                         .vectors = vectors});

  std::vector<float> y(static_cast<std::size_t>(tokens * rows));
  for (int t = 0; t < tokens; ++t)
    for (int r = 0; r < rows; ++r) y[static_cast<std::size_t>(t * rows + r)] = acc.floats()[r * width + t];
  return {y, chunk};
}

std::vector<float> run_dot(const Kernel& kernel, const std::byte* segment, int rows, const Array& x,
                           float initial) {
  const auto tokens = static_cast<int>(x.rows());
  const auto stride = static_cast<std::int64_t>(formats::round_up(static_cast<std::size_t>(x.cols()), 64));
  const std::size_t row_bytes =
      static_cast<std::size_t>(stride) * (kernel.arithmetic == Arithmetic::bf16_pair ? 2 : 4);
  GuardedBuffer packed(row_bytes * static_cast<std::size_t>(tokens));
  for (int t = 0; t < tokens; ++t)
    activations_for(kernel.isa)
        .pack_dot({.x = x.view().row(t),
                   .arithmetic = kernel.arithmetic,
                   .columns = x.cols(),
                   .padded = stride,
                   .out = packed.data() + static_cast<std::size_t>(t) * row_bytes});
  GuardedBuffer acc(static_cast<std::size_t>(tokens * rows) * 4);
  std::fill_n(acc.floats(), tokens * rows, initial);
  kernel.dot({.segment = segment,
              .rows = rows,
              .columns = static_cast<int>(x.cols()),
              .x = packed.data(),
              .x_stride = stride,
              .tokens = tokens,
              .acc = acc.floats(),
              .acc_stride = rows});
  return {acc.floats(), acc.floats() + tokens * rows};
}

}  // namespace

std::vector<const Kernel*> runnable_kernels() {
  std::vector<const Kernel*> kernels;
  for (const Kernel& kernel : all_kernels())
    if (kernel.isa <= active_isa()) kernels.push_back(&kernel);
  return kernels;
}

const ActivationKernels& activations_for(Isa isa) {
  return isa == Isa::scalar ? scalar_activations : avx2_activations;
}

formats::SegmentShape shape_of(const Array& weight, Format format, Arithmetic arithmetic, KeepOf n_m) {
  return {format, arithmetic, static_cast<int>(weight.rows()), weight.cols(), n_m.keep, n_m.group};
}

std::vector<std::byte> pack(const Array& weight, const formats::SegmentShape& shape) {
  std::vector<std::int32_t> rows(static_cast<std::size_t>(weight.rows()));
  std::iota(rows.begin(), rows.end(), 0);
  const DType dtype = shape.arithmetic == Arithmetic::fp32 ? DType::fp32 : DType::bf16;
  const compiler::PanelSource source(weight.view(), dtype, rows);
  std::vector<std::byte> bytes;
  compiler::pack_segment(source, 0, shape, bytes);
  return bytes;
}

KernelResult run_packed(const Kernel& kernel, const std::byte* segment, const formats::SegmentShape& shape,
                        const Array& x, int vectors, float initial) {
  if (kernel.tile != nullptr) return run_tile(kernel, segment, shape.rows, x, vectors, initial);
  return {run_dot(kernel, segment, shape.rows, x, initial), nullptr};
}

std::vector<float> run_kernel(const Kernel& kernel, const Array& weight, const Array& x, KeepOf n_m,
                              int vectors, float initial) {
  const formats::SegmentShape shape = shape_of(weight, kernel.format, kernel.arithmetic, n_m);
  const std::vector<std::byte> bytes = pack(weight, shape);
  GuardedBuffer segment(bytes.size() + segment_overread);
  std::memcpy(segment.data(), bytes.data(), bytes.size());
  // What follows a segment may be anything, here NaN.
  std::memset(segment.data() + bytes.size(), 0xff, segment_overread);
  const KernelResult result = run_packed(kernel, segment.data(), shape, x, vectors, initial);
  if (kernel.tile != nullptr) {
    EXPECT_EQ(result.end, segment.data() + bytes.size()) << "the kernel does not end where its segment does";
  }
  return result.y;
}

}  // namespace cross::kernels::testing
