// delta4 and delta8: what is packed decodes to the weight, lists obey what the kernels rely on, damage is
// refused.
#include <gtest/gtest.h>

#include <algorithm>
#include <tuple>
#include <vector>

#include "compiler/damage.h"
#include "compiler/pack/gpu/delta_lists.h"
#include "compiler/pack/gpu/pack_gpu.h"
#include "compiler/random_weight.h"
#include "plan/formats/gpu/bitmap_planes.h"
#include "plan/formats/gpu/blob.h"
#include "plan/formats/gpu/delta.h"
#include "plan/formats/gpu/head.h"

namespace cross::compiler {
namespace {

struct Shape {
  std::int64_t rows, cols;
  double density;
  std::int64_t tokens;
  int sms = 132;
};

class DeltaPack : public testing::TestWithParam<std::tuple<Format, Shape>> {};

TEST_P(DeltaPack, DecodesToTheWeight) {
  const auto [format, shape] = GetParam();
  const RandomWeight weight(shape.rows, shape.cols, shape.density, 7);
  GpuTarget target;
  target.tokens = shape.tokens;
  target.sms = shape.sms;
  std::int64_t kept = -1;
  const auto blob = pack_gpu(weight.view, DType::bf16, format, target, 2, kept);
  EXPECT_EQ(formats::gpu::check(blob, format, shape.rows, shape.cols), "");
  EXPECT_EQ(kept, static_cast<std::int64_t>(weight.bits.size()) -
                      std::count(weight.bits.begin(), weight.bits.end(), std::uint16_t{0}));
  EXPECT_EQ(decoded(blob, weight), weight.bits);
  EXPECT_EQ(pack_gpu(weight.view, DType::bf16, format, target, 1, kept), blob);
}

INSTANTIATE_TEST_SUITE_P(
    Shapes, DeltaPack,
    testing::Combine(testing::Values(Format::delta4, Format::delta8),
                     testing::Values(Shape{1, 1, 1, 1}, Shape{1, 1, 0, 1}, Shape{7, 13, 0.5, 8},
                                     Shape{8, 8, 1, 1}, Shape{9, 257, 0.02, 8}, Shape{64, 1000, 0, 8},
                                     Shape{33, 1031, 0.3, 16}, Shape{1100, 64, 0.9, 8},
                                     Shape{40, 5000, 0.01, 64}, Shape{24, 12000, 0.1, 32},
                                     Shape{16, 4099, 0.0005, 8}, Shape{2, 20000, 0.5, 8},
                                     Shape{300, 1400, 1, 8, 2}, Shape{1000, 3000, 0.2, 8, 7})));

TEST(DeltaPack, BytesPerKeptWeight) {
  const auto bytes = [](Format format, double density) {
    const RandomWeight weight(1056, 4096, density, 3);
    GpuTarget target;
    target.sms = 12;  // as many rows a part as 12288 on a whole GPU
    std::int64_t kept = 0;
    const auto blob = pack_gpu(weight.view, DType::bf16, format, target, 2, kept);
    return static_cast<double>(blob.size()) / static_cast<double>(kept);
  };
  EXPECT_LT(bytes(Format::delta4, 0.5), 2.58);
  EXPECT_LT(bytes(Format::delta4, 0.3), 2.62);
  EXPECT_LT(bytes(Format::delta4, 0.2), 2.75);
  EXPECT_LT(bytes(Format::delta8, 0.1), 3.25);
}

TEST(DeltaPack, RoundsToThePlansType) {
  const std::vector<float> values = {1.0f, 0.0f, -0.0f, 1.00390625f};
  const MatrixView view{DType::fp32, 1, 4, reinterpret_cast<const std::byte*>(values.data())};
  std::int64_t kept = 0;
  const auto blob = pack_gpu(view, DType::fp16, Format::delta4, {}, 1, kept);
  EXPECT_EQ(kept, 3);  // −0.0 is a kept value
  std::vector<std::uint16_t> row(4);
  formats::gpu::decode(blob, [&](std::int64_t, std::int64_t col, std::uint16_t bits) {
    row[static_cast<std::size_t>(col)] = bits;
  });
  EXPECT_EQ(row, (std::vector<std::uint16_t>{0x3c00, 0, 0x8000, fp16_from_float(1.00390625f)}));
}

TEST(DeltaPack, KeepsMinusZeroAndSpecialValues) {
  const std::vector<std::uint16_t> values = {0x8000, 0, 0x7f80, 0x7fc1, 0xff80, 0, 1};
  const MatrixView view{DType::bf16, 1, 7, reinterpret_cast<const std::byte*>(values.data())};
  for (const Format format : {Format::delta4, Format::delta8}) {
    std::int64_t kept = 0;
    const auto blob = pack_gpu(view, DType::bf16, format, {}, 1, kept);
    EXPECT_EQ(kept, 5);
    std::vector<std::uint16_t> row(7);
    formats::gpu::decode(blob, [&](std::int64_t, std::int64_t col, std::uint16_t bits) {
      row[static_cast<std::size_t>(col)] = bits;
    });
    EXPECT_EQ(row, values);
  }
}

TEST(DeltaPack, DamageIsRefusedOrHarmless) {
  const RandomWeight weight(50, 300, 0.3, 11);
  for (const Format format : {Format::delta4, Format::delta8}) {
    GpuTarget target;
    target.sms = 3;
    std::int64_t kept = 0;
    const auto blob = pack_gpu(weight.view, DType::bf16, format, target, 1, kept);
    expect_damage_refused_or_harmless(blob, format, 50, 300, 2048, 400);
  }
}

TEST(DeltaPack, HeadHoldsWhereCtasStart) {
  const RandomWeight weight(500, 300, 0.3, 11);
  GpuTarget target;
  target.sms = 132;
  for (const Format format : {Format::delta4, Format::delta8}) {
    std::int64_t kept = 0;
    const auto blob = pack_gpu(weight.view, DType::bf16, format, target, 1, kept);
    const auto header = formats::gpu::read_header<formats::gpu::DeltaHeader>(blob);
    const std::size_t head = formats::gpu::head_bytes(blob);
    EXPECT_GE(head, header.cta_block + 4 * (header.ctas() + 1));
    EXPECT_LE(head, header.part_rows);
  }
  std::int64_t kept = 0;
  const auto planes = pack_gpu(weight.view, DType::bf16, Format::bitmap_planes, target, 1, kept);
  EXPECT_EQ(formats::gpu::head_bytes(planes), sizeof(formats::gpu::BitmapPlanesHeader));
}

TEST(DeltaLists, NibblesMoveForwardAndQuartersAreEven) {
  std::array<std::vector<KeptWeight>, 8> rows;
  for (int c = 0; c < 1024; c += 5) rows[0].push_back({c, 1});  // 205 weights
  rows[3] = {{0, 1}, {1023, 2}};
  rows[5] = {{7, 1}, {500, 2}, {501, 3}, {502, 4}, {503, 5}};
  std::array<const std::vector<KeptWeight>*, 8> eight;
  for (std::size_t r = 0; r < 8; ++r) eight[r] = &rows[r];
  const DeltaTile tile = make_delta_tile(4, eight, 1024);
  EXPECT_EQ(tile.quads, 13u);  // 52 steps: a quarter of 205 weights
  for (const DeltaList& list : tile.lists) {
    ASSERT_EQ(list.steps.size(), 52u);
    EXPECT_EQ(list.start, list.steps[0].col);
    for (std::size_t s = 1; s < list.steps.size(); ++s) {
      const int step = list.steps[s].col - list.steps[s - 1].col;
      EXPECT_TRUE(step >= 1 && step <= 16) << step;
    }
    EXPECT_LT(list.steps.back().col, 1024);
  }
}

}  // namespace
}  // namespace cross::compiler
