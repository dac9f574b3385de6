// bitmap_planes: what is packed decodes to the weight, bytes stay near the bound, damage is refused.
#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "compiler/damage.h"
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
  expect_damage_refused_or_harmless(blob, Format::bitmap_planes, 50, 300, 256, 500);
}

}  // namespace
}  // namespace cross::compiler
