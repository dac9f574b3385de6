// Packing 2:4 weights for the CUDA device family: round trip, refusals, damage.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <random>
#include <vector>

#include "compiler/damage.h"
#include "compiler/pack/gpu/pack_gpu.h"
#include "compiler/round_trip.h"
#include "plan/formats/gpu/two_four.h"

namespace cross::compiler {
namespace {

using formats::gpu::TwoFourHeader;

/// Every group of four columns keeps at most `most` weights, each with probability `keep`.
struct Weight {
  std::vector<std::uint16_t> bits;
  MatrixView view;

  Weight(std::int64_t rows, std::int64_t cols, int most, double keep, unsigned seed = 7)
      : bits(static_cast<std::size_t>(rows * cols)) {
    std::mt19937 random(seed);
    std::bernoulli_distribution kept(keep);
    std::uniform_int_distribution<int> value(1, 0xffff);  // NaN, Inf and −0.0 among them
    for (std::int64_t r = 0; r < rows; ++r)
      for (std::int64_t c = 0; c < cols; c += 4)
        for (int i = 0; i < most; ++i)
          if (const std::int64_t col = c + static_cast<std::int64_t>(random() % 4);
              col < cols && kept(random))
            bits[static_cast<std::size_t>(r * cols + col)] = static_cast<std::uint16_t>(value(random));
    view = {DType::bf16, rows, cols, reinterpret_cast<const std::byte*>(bits.data())};
  }
};

std::vector<std::byte> packed(const MatrixView& view, DType dtype = DType::bf16) {
  std::int64_t kept = 0;
  return pack_gpu(view, dtype, Format::two_four, {}, 2, kept);
}

struct Case {
  std::int64_t rows, cols;
  int most;
  double keep;
};

class TwoFourPack : public testing::TestWithParam<Case> {};

TEST_P(TwoFourPack, DecodesToTheWeight) {
  const auto [rows, cols, most, keep] = GetParam();
  const Weight weight(rows, cols, most, keep);
  expect_round_trip(weight.bits, weight.view, Format::two_four);
}

INSTANTIATE_TEST_SUITE_P(Shapes, TwoFourPack,
                         testing::Values(Case{1, 1, 2, 1}, Case{1, 1, 2, 0}, Case{7, 13, 2, 0.5},
                                         Case{64, 128, 2, 1}, Case{33, 129, 2, 1}, Case{63, 127, 1, 1},
                                         Case{64, 64, 2, 1}, Case{65, 65, 2, 1}, Case{64, 1000, 0, 0},
                                         Case{65, 1031, 2, 0.3}, Case{1100, 64, 2, 0.9},
                                         Case{3, 5000, 1, 0.1}));

TEST(TwoFourPack, TakesNineSixteenthsOfTheDenseBytes) {
  const Weight weight(256, 4096, 2, 1);
  EXPECT_LT(static_cast<double>(packed(weight.view).size()), 256 * 4096 * 2 * (9.0 / 16.0) * 1.001);
}

TEST(TwoFourPack, BytesAreAsDocumented) {
  // Row 27 keeps columns 1 and 3 of group 13 of the second tile: atom 3, its row 3, piece 3 at place 2;
  // strip 1.
  std::vector<std::uint16_t> bits(64 * 128);
  bits[27 * 128 + 64 + 4 * 13 + 1] = 0x1111;
  bits[27 * 128 + 64 + 4 * 13 + 3] = 0x2222;
  const auto blob = packed({DType::bf16, 64, 128, reinterpret_cast<const std::byte*>(bits.data())});
  TwoFourHeader header;
  std::memcpy(static_cast<void*>(&header), blob.data(), sizeof header);
  EXPECT_EQ(header.k_tiles, 2);
  const std::byte* tile = blob.data() + header.tiles + 4608;
  std::uint16_t values[2];
  std::memcpy(values, tile + 3 * 512 + 3 * 64 + 2 * 16 + 4, sizeof values);
  EXPECT_EQ(values[0], 0x1111);
  EXPECT_EQ(values[1], 0x2222);
  std::uint32_t word;
  std::memcpy(&word, tile + 4096 + ((1 * 8 + 3) * 4 + 2 * 1 + 1) * 4, sizeof word);
  EXPECT_EQ(word, 0x44d44444u);  // elsewhere columns 0 and 1
}

/// The 64-byte swizzle of matrix descriptors: bits 4 and 5 of an address, exchanged by bits 7 and 8.
TEST(TwoFourPack, ValuesLieInTheSwizzleOfTensorCores) {
  using namespace formats::gpu;
  for (int row = 0; row < two_four_rows; ++row)
    for (int group = 0; group < two_four_groups; ++group) {
      const int plain = row * 64 + group * 4;
      EXPECT_EQ(two_four_value_index(row, group) * 2, plain ^ ((plain >> 7 & 3) << 4));
    }
}

TEST(TwoFourPack, RoundsToThePlansType) {
  const std::vector<float> values = {1.0f, 0.0f, 0.0f, 1.00390625f, -0.0f};
  std::vector<std::uint16_t> row(5);
  formats::gpu::decode(
      packed({DType::fp32, 1, 5, reinterpret_cast<const std::byte*>(values.data())}, DType::fp16),
      [&](std::int64_t, std::int64_t col, std::uint16_t bits) { row[static_cast<std::size_t>(col)] = bits; });
  EXPECT_EQ(row, (std::vector<std::uint16_t>{0x3c00, 0, 0, fp16_from_float(1.00390625f), 0x8000}));
}

TEST(TwoFourPack, RefusesWhatIsNotTwoFour) {
  Weight weight(40, 30, 2, 0.5);
  std::fill_n(weight.bits.begin() + 37 * 30 + 24, 3, std::uint16_t{1});
  EXPECT_EQ(gpu_format_refuses(weight.view, DType::bf16, Format::two_four),
            "row 37 keeps 3 of columns 24 to 27; 2:4 allows 2");
  std::fill_n(weight.bits.begin(), 4, std::uint16_t{1});
  EXPECT_EQ(gpu_format_refuses(weight.view, DType::bf16, Format::two_four),
            "row 0 keeps 4 of columns 0 to 3; 2:4 allows 2");
  EXPECT_NE(gpu_format_refuses(weight.view, DType::fp32, Format::two_four), "");
  // A group may be short at the end of a row; its columns belong to no other row.
  const std::vector<std::uint16_t> ends = {0, 0, 0, 0, 1, 1, 1, 1, 0, 0, 0, 0};
  EXPECT_EQ(gpu_format_refuses({DType::bf16, 2, 6, reinterpret_cast<const std::byte*>(ends.data())},
                               DType::bf16, Format::two_four),
            "");
}

TEST(TwoFourPack, DamageIsRefusedOrHarmless) {
  const Weight weight(50, 300, 2, 0.6, 11);
  expect_damage_refused_or_harmless(packed(weight.view), Format::two_four, 50, 300, 128, 100);
}

TEST(TwoFourPack, EveryHeaderFieldIsChecked) {
  const Weight weight(50, 300, 2, 0.6, 11);
  const auto blob = packed(weight.view);
  const auto refused = [&](auto change) {
    auto damaged = blob;
    TwoFourHeader header;
    std::memcpy(static_cast<void*>(&header), damaged.data(), sizeof header);
    change(header);
    std::memcpy(damaged.data(), &header, sizeof header);
    return !formats::gpu::check(damaged, Format::two_four, 50, 300).empty();
  };
  EXPECT_FALSE(refused([](TwoFourHeader&) {}));
  EXPECT_TRUE(refused([](TwoFourHeader& h) { h.bytes = 8; }));
  EXPECT_TRUE(refused([](TwoFourHeader& h) { h.panels = 2; }));
  EXPECT_TRUE(refused([](TwoFourHeader& h) { h.panels = -2; }));
  EXPECT_TRUE(refused([](TwoFourHeader& h) { h.k_tiles = 5; }));
  EXPECT_TRUE(refused([](TwoFourHeader& h) { h.tiles = 0; }));
  EXPECT_TRUE(refused([](TwoFourHeader& h) { h.tiles += 64; }));
  EXPECT_TRUE(refused([](TwoFourHeader& h) { h.tiles += 128; }));
  EXPECT_TRUE(refused([](TwoFourHeader& h) { h.tiles = ~std::uint64_t{127}; }));
}

}  // namespace
}  // namespace cross::compiler
