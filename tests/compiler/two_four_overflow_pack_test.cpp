// Packing any weights as 2:4 with lifted columns: round trip, how many there are, what kernels rely on,
// damage.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <span>
#include <vector>

#include "compiler/damage.h"
#include "compiler/pack/gpu/lift_columns.h"
#include "compiler/pack/gpu/pack_gpu.h"
#include "compiler/random_weight.h"
#include "compiler/round_trip.h"
#include "plan/formats/gpu/blob.h"

namespace cross::compiler {
namespace {

using namespace formats::gpu;

std::vector<std::byte> packed(const MatrixView& view) {
  std::int64_t kept = 0;
  return pack_gpu(view, DType::bf16, Format::two_four_overflow, {}, 2, kept);
}

struct Case {
  std::int64_t rows, cols;
  double density;
};

class TwoFourOverflowPack : public testing::TestWithParam<Case> {};

TEST_P(TwoFourOverflowPack, DecodesToTheWeight) {
  const auto [rows, cols, density] = GetParam();
  const RandomWeight weight(rows, cols, density);
  expect_round_trip(weight.bits, weight.view, Format::two_four_overflow);
}

INSTANTIATE_TEST_SUITE_P(Shapes, TwoFourOverflowPack,
                         testing::Values(Case{1, 1, 1}, Case{1, 1, 0}, Case{7, 13, 0.5}, Case{128, 128, 1},
                                         Case{129, 129, 1}, Case{127, 1000, 0.3}, Case{200, 1031, 0.1},
                                         Case{1100, 64, 0.9}, Case{3, 5000, 0.6}, Case{256, 2048, 0.05},
                                         Case{512, 512, 0.01}, Case{128, 4, 1}, Case{300, 3, 1}));

TEST(TwoFourOverflowPack, BytesAreAsDocumented) {
  // Row 45 keeps three of columns 8 … 11; the first of the fewest sets of columns that help is {8}.
  std::vector<std::uint16_t> bits(128 * 128);
  bits[45 * 128 + 8] = 0x1111;
  bits[45 * 128 + 9] = 0x2222;
  bits[45 * 128 + 11] = 0x3333;
  bits[46 * 128 + 8] = 0x4444;  // stays: its row has no conflict
  const auto blob = packed({DType::bf16, 128, 128, reinterpret_cast<const std::byte*>(bits.data())});
  const TwoFourOverflowHeader h = read_header<TwoFourOverflowHeader>(blob);
  EXPECT_EQ(h.row_pairs, 1);
  ASSERT_EQ(h.further, 1);
  const auto word = [&](std::uint64_t at) {
    std::uint32_t value;
    std::memcpy(&value, blob.data() + at, sizeof value);
    return value;
  };
  const auto half = [&](std::uint64_t at) { return static_cast<std::uint16_t>(word(at) & 0xffff); };
  EXPECT_EQ(word(h.begin + 4), 1u);
  // The row tile that is not there has none.
  for (std::uint64_t place = 0; place < 128; ++place)
    EXPECT_EQ(word(h.column + 4 * place), place < 64 ? 8u : 0u);
  EXPECT_EQ(word(h.lifted), 1u << 8 | 1u);
  // Row 45: atom 5, its row 5; its group 0 is in piece 0, which stands at place 2. Strip 2, the row 8
  // below 5.
  EXPECT_EQ(half(h.further_tiles + 45 * 64 + 2 * 16), 0x1111);
  EXPECT_EQ(word(h.further_tiles + 4096 + (2 * 8 + 5) * 16) >> 16 & 15u, 0u + 4 * 1);
  // Group 2 of the matrix's tile; row 46 has piece 0 at place 3.
  EXPECT_EQ(half(h.tiles + 45 * 64 + 2 * 16 + 8), 0x2222);
  EXPECT_EQ(half(h.tiles + 45 * 64 + 2 * 16 + 10), 0x3333);
  EXPECT_EQ(half(h.tiles + 46 * 64 + 3 * 16 + 8), 0x4444);
}

TEST(TwoFourOverflowPack, ItsOverheadGrowsWithTheConflicts) {
  const auto overhead = [](double density) {
    return two_four_overflow_overhead(RandomWeight(256, 4096, density).view, DType::bf16, 2);
  };
  EXPECT_EQ(overhead(0), 0);
  // One stage beside 64.
  EXPECT_NEAR(overhead(0.02), 1 / 64.0, 1e-9);
  EXPECT_NEAR(overhead(0.05), 2 / 64.0, 1 / 64.0);
  EXPECT_NEAR(overhead(0.1), 0.12, 0.02);
  EXPECT_NEAR(overhead(0.2), 0.33, 0.04);
  EXPECT_EQ(overhead(1), 1);
  const RandomWeight weight(200, 1000, 0.2);
  EXPECT_DOUBLE_EQ(two_four_overflow_overhead(weight.view, DType::bf16, 2),
                   read_header<TwoFourOverflowHeader>(packed(weight.view)).overhead());
}

TEST(TwoFourOverflowPack, WeightsThatAreTwoFourAreNotLifted) {
  RandomWeight weight(130, 300, 0);
  for (std::size_t i = 0; i < weight.bits.size(); i += 4) weight.bits[i] = weight.bits[i + 1] = 1;
  EXPECT_EQ(two_four_overflow_overhead(weight.view, DType::bf16, 1), 0);
  EXPECT_EQ(read_header<TwoFourOverflowHeader>(packed(weight.view)).further, 0);
}

TEST(TwoFourOverflowPack, RowTilesOfAPairHaveEquallyManyStages) {
  // Only rows 64 to 127 of 400 have conflicts: the lower panel of the first row tile.
  RandomWeight weight(400, 1024, 0);
  const RandomWeight dense(64, 1024, 0.3);
  std::copy(dense.bits.begin(), dense.bits.end(), weight.bits.begin() + 64 * 1024);
  const auto blob = packed(weight.view);
  const TwoFourOverflowHeader h = read_header<TwoFourOverflowHeader>(blob);
  EXPECT_EQ(h.row_pairs, 2);
  std::array<std::uint32_t, 3> begin{};
  std::memcpy(begin.data(), blob.data() + h.begin, sizeof begin);
  EXPECT_EQ(begin[1], begin[2]);
  const auto stages = static_cast<std::uint32_t>(h.further);
  EXPECT_GT(stages, 4u);
  EXPECT_EQ(begin[1], stages);
  for (std::uint32_t tile = 0; tile < 4 * stages; ++tile) {  // two a stage
    std::array<std::byte, two_four_metadata_at> values{}, none{};
    std::memcpy(values.data(), blob.data() + h.further_tiles + tile * std::uint64_t{two_four_tile_bytes},
                sizeof values);
    EXPECT_EQ(values != none, tile < 2 * stages && tile % 2 == 1) << tile;
  }
}

/// What a kernel relies on, at every density.
TEST(TwoFourOverflowPack, RowTilesKeepTwoOfFourAndLiftTheRest) {
  for (const double density : {0.03, 0.1, 0.3, 0.7, 1.0}) {
    constexpr std::int64_t cols = 1024;
    const std::vector<std::uint16_t> weights = RandomWeight(lifted_tile_rows, cols, density).bits;
    std::vector<std::uint16_t> rest = weights;
    const std::vector<LiftedPlaces> stages = place_columns(lift_columns(rest, cols));
    for (auto four = rest.begin(); four != rest.end(); four += 4)
      ASSERT_LE(4 - std::count(four, four + 4, 0), 2);
    for (const LiftedPlaces& stage : stages)
      for (std::int64_t i = 0; i < std::int64_t{lifted_tile_rows} * two_four_cols; ++i) {
        const auto four = stage.bits.begin() + i / 4 * 4;
        ASSERT_LE(4 - std::count(four, four + 4, 0), 2);
        const std::uint16_t bits = stage.bits[static_cast<std::size_t>(i)];
        if (bits == 0) continue;
        const std::uint32_t column = stage.column[static_cast<std::size_t>(i % two_four_cols)];
        std::uint16_t& left = rest[static_cast<std::size_t>(i / two_four_cols * cols + column)];
        ASSERT_EQ(left, 0);
        left = bits;
      }
    EXPECT_EQ(rest, weights);
  }
}

TEST(TwoFourOverflowPack, DamageIsRefusedOrHarmless) {
  const RandomWeight weight(150, 300, 0.2, 11);
  expect_damage_refused_or_harmless(packed(weight.view), Format::two_four_overflow, 150, 300, 128, 100);
}

TEST(TwoFourOverflowPack, EveryHeaderFieldAndListIsChecked) {
  const RandomWeight weight(150, 1000, 0.3, 11);
  const auto blob = packed(weight.view);
  using Bytes = std::vector<std::byte>;
  using Header = TwoFourOverflowHeader;
  const auto wrong = [&](auto change) {
    return check_changed<Header>(blob, Format::two_four_overflow, 150, 1000, change);
  };
  const auto put = [](Bytes& bytes, std::uint64_t offset, std::size_t index, std::uint32_t value) {
    std::memcpy(bytes.data() + offset + 4 * index, &value, 4);
  };
  EXPECT_EQ(wrong([](Header&, Bytes&) {}), "");
  EXPECT_NE(wrong([](Header& h, Bytes&) { h.bytes = 8; }), "");
  EXPECT_NE(wrong([](Header& h, Bytes&) { h.panels = 2; }), "");
  EXPECT_NE(wrong([](Header& h, Bytes&) { h.k_tiles = -1; }), "");
  EXPECT_NE(wrong([](Header& h, Bytes&) { h.row_pairs = 2; }), "");
  EXPECT_NE(wrong([](Header& h, Bytes&) { h.further -= 1; }), "");
  for (const auto field :
       {&Header::tiles, &Header::begin, &Header::column, &Header::lifted, &Header::further_tiles}) {
    EXPECT_NE(wrong([&](Header& h, Bytes&) { h.*field = 0; }), "");
    EXPECT_NE(wrong([&](Header& h, Bytes&) { h.*field += 64; }), "");
    EXPECT_NE(wrong([&](Header& h, Bytes&) { h.*field = ~std::uint64_t{127}; }), "");
  }
  EXPECT_NE(wrong([&](Header& h, Bytes& b) { put(b, h.begin, 0, 1); }), "");
  EXPECT_NE(wrong([&](Header& h, Bytes& b) { put(b, h.begin, 1, 1000); }), "");
  const auto says = [&](auto change, const char* what) {
    EXPECT_NE(wrong(change).find(what), std::string::npos) << wrong(change);
  };
  says([&](Header& h, Bytes& b) { put(b, h.column, 0, 1000); },
       "further stage 0 multiplies column 1000 of 1000");
  says([&](Header& h, Bytes& b) { put(b, h.lifted, 0, 0); }, "is not marked as lifted");
  says([&](Header& h, Bytes& b) { put(b, h.further_tiles + two_four_metadata_at, 0, 0); }, "do not ascend");
  // A column whose weight the blocks hold, and one that is lifted twice.
  std::vector<std::uint16_t> row(128 * 128);
  row[0] = row[1] = row[2] = row[4] = row[5] = row[6] = 1;
  const auto two = packed({DType::bf16, 128, 128, reinterpret_cast<const std::byte*>(row.data())});
  auto twice = two;
  put(twice, read_header<TwoFourOverflowHeader>(two).lifted, 0, ~0u);
  put(twice, read_header<TwoFourOverflowHeader>(two).column, 0, 1);
  EXPECT_EQ(check(twice, Format::two_four_overflow, 128, 128),
            "the weight at row 0, column 1 is there twice");
  put(twice, read_header<TwoFourOverflowHeader>(two).column, 0, 0);
  put(twice, read_header<TwoFourOverflowHeader>(two).column, 1, 0);
  EXPECT_EQ(check(twice, Format::two_four_overflow, 128, 128),
            "the weight at row 0, column 0 is there twice");
}

}  // namespace
}  // namespace cross::compiler
