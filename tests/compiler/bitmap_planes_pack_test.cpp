// bitmap_planes: what is packed decodes to the weight, bytes stay near the bound, damage is refused.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

#include "compiler/pack/gpu/pack_gpu.h"
#include "compiler/random_weight.h"
#include "plan/formats/gpu/bitmap_planes.h"

namespace cross::compiler {
namespace {

struct PlanesCase {
  std::int64_t rows, cols;
  double density;
  DType dtype;
};

class BitmapPlanesPack : public testing::TestWithParam<PlanesCase> {};

TEST_P(BitmapPlanesPack, DecodesToTheWeight) {
  const auto [rows, cols, density, dtype] = GetParam();
  RandomWeight weight(rows, cols, density, 17);
  weight.view.dtype = dtype;
  std::int64_t kept = -1;
  const auto blob = pack_gpu(weight.view, dtype, Format::bitmap_planes, {}, 2, kept);
  EXPECT_EQ(formats::gpu::check(blob, Format::bitmap_planes, rows, cols), "");
  EXPECT_EQ(kept, static_cast<std::int64_t>(weight.bits.size()) -
                      std::count(weight.bits.begin(), weight.bits.end(), std::uint16_t{0}));
  EXPECT_EQ(decoded(blob, weight), weight.bits);
}

INSTANTIATE_TEST_SUITE_P(
    Shapes, BitmapPlanesPack,
    testing::Values(PlanesCase{1, 1, 1, DType::bf16}, PlanesCase{1, 1, 0, DType::fp16},
                    PlanesCase{7, 13, 0.5, DType::fp16}, PlanesCase{15, 127, 0.3, DType::bf16},
                    PlanesCase{16, 128, 1, DType::bf16}, PlanesCase{17, 129, 0.7, DType::fp16},
                    PlanesCase{33, 1031, 0.3, DType::bf16}, PlanesCase{64, 1000, 0, DType::bf16},
                    PlanesCase{1100, 64, 0.9, DType::bf16}, PlanesCase{2, 20000, 0.5, DType::fp16},
                    PlanesCase{20000, 1, 0.5, DType::bf16}));

TEST(BitmapPlanesPack, BytesStayNearTheBound) {
  for (const double density : {0.5, 0.3, 0.2}) {
    const RandomWeight weight(512, 4096, density, 3);
    std::int64_t kept = 0;
    const auto blob = pack_gpu(weight.view, DType::bf16, Format::bitmap_planes, {}, 2, kept);
    const double bound = static_cast<double>(weight.bits.size()) / 8 + 2 * static_cast<double>(kept);
    EXPECT_LT(static_cast<double>(blob.size()), 1.035 * bound) << "density " << density;
  }
}

TEST(BitmapPlanesPack, DamageIsRefusedOrHarmless) {
  const RandomWeight weight(50, 300, 0.3, 11);
  std::int64_t kept = 0;
  const auto blob = pack_gpu(weight.view, DType::bf16, Format::bitmap_planes, {}, 1, kept);
  std::mt19937 random(5);
  int refused = 0;
  for (int i = 0; i < 2000; ++i) {
    auto damaged = blob;
    // Every other time in the header and the index.
    const std::size_t reach = i % 2 == 0 ? damaged.size() : std::size_t{256};
    damaged[random() % reach] ^= static_cast<std::byte>(1u << (random() % 8));
    if (!formats::gpu::check(damaged, Format::bitmap_planes, 50, 300).empty()) {
      ++refused;
      continue;
    }
    formats::gpu::decode(damaged, [&](std::int64_t row, std::int64_t col, std::uint16_t) {
      ASSERT_TRUE(row >= 0 && row < 50 && col >= 0 && col < 300);
    });
  }
  EXPECT_GT(refused, 500);
  for (const std::size_t size :
       {std::size_t{0}, std::size_t{8}, sizeof(formats::gpu::BitmapPlanesHeader), blob.size() - 128})
    EXPECT_NE(formats::gpu::check(std::span(blob).first(size), Format::bitmap_planes, 50, 300), "");
  EXPECT_NE(formats::gpu::check(blob, Format::bitmap_planes, 51, 300), "");
}

}  // namespace
}  // namespace cross::compiler
