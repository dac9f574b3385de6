// Packing weights that keep very little as short column vectors: round trip, bytes, what kernels rely on,
// damage.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <set>
#include <span>
#include <vector>

#include "compiler/damage.h"
#include "compiler/pack/gpu/pack_gpu.h"
#include "compiler/random_weight.h"
#include "compiler/round_trip.h"
#include "plan/formats/gpu/blob.h"
#include "plan/formats/gpu/column_vectors.h"

namespace cross::compiler {
namespace {

using namespace formats::gpu;

std::vector<std::byte> packed(const MatrixView& view) {
  std::int64_t kept = 0;
  return pack_gpu(view, DType::bf16, Format::column_vectors, {}, 2, kept);
}

struct Case {
  std::int64_t rows, cols;
  double density;
};

class ColumnVectorsPack : public testing::TestWithParam<Case> {};

TEST_P(ColumnVectorsPack, DecodesToTheWeight) {
  const auto [rows, cols, density] = GetParam();
  const RandomWeight weight(rows, cols, density);
  expect_round_trip(weight.bits, weight.view, Format::column_vectors);
}

INSTANTIATE_TEST_SUITE_P(Shapes, ColumnVectorsPack,
                         testing::Values(Case{1, 1, 1}, Case{1, 1, 0}, Case{7, 13, 0.5}, Case{16, 16, 1},
                                         Case{17, 769, 1}, Case{15, 768, 0.3}, Case{200, 1031, 0.1},
                                         Case{1100, 64, 0.9}, Case{3, 5000, 0.01}, Case{256, 2048, 0.01},
                                         Case{512, 1537, 0.005}));

TEST(ColumnVectorsPack, EveryWeightHasAPlaceOfItsOwn) {
  std::set<int> places;
  for (int row = 0; row < column_vector_rows; ++row)
    for (int slot = 0; slot < column_vector_slots; ++slot) places.insert(column_vector_at(row, slot));
  EXPECT_EQ(places.size(), std::size_t{column_vector_values});
  EXPECT_EQ(*places.rbegin(), column_vector_values - 1);
  // Lane 4g + t of an operand B of m16n8k16: column g, rows 2t, 2t + 1, 2t + 8, 2t + 9; two of them.
  EXPECT_EQ(column_vector_at(0, 0), 0);
  EXPECT_EQ(column_vector_at(0, 1), 1);
  EXPECT_EQ(column_vector_at(0, 8), 2);
  EXPECT_EQ(column_vector_at(2, 0), 4);      // the second product
  EXPECT_EQ(column_vector_at(1, 0), 4 * 8);  // g = 1
  EXPECT_EQ(column_vector_at(4, 2), (4 * 2 + 1) * 8);
}

TEST(ColumnVectorsPack, BytesAreAsDocumented) {
  // Rows 0 and 17 keep column 9, row 3 columns 800 and 801.
  std::vector<std::uint16_t> bits(20 * 1000);
  bits[9] = 0x1111;
  bits[17 * 1000 + 9] = 0x2222;
  bits[3 * 1000 + 800] = 0x3333;
  bits[3 * 1000 + 801] = 0x4444;
  const auto blob = packed({DType::bf16, 20, 1000, reinterpret_cast<const std::byte*>(bits.data())});
  const ColumnVectorsHeader h = read_header<ColumnVectorsHeader>(blob);
  EXPECT_EQ(h.panels, 2);
  EXPECT_EQ(h.block_cols, 504);  // half of 1000, in eights
  EXPECT_EQ(h.blocks, 2);
  EXPECT_EQ(h.columns, 4u);
  EXPECT_DOUBLE_EQ(h.density(), 4.0 / 2000);
  ASSERT_EQ(h.steps, 3u);
  for (std::size_t list = 0; list <= 4; ++list)
    EXPECT_EQ(element<std::uint32_t>(blob, h.begin, list), std::min<std::size_t>(list, 3));
  EXPECT_EQ(element<std::uint16_t>(blob, h.place, 0), 8 * 9 + 1);
  EXPECT_EQ(element<std::uint16_t>(blob, h.weights, static_cast<std::size_t>(column_vector_at(0, 0))),
            0x1111);
  // Columns of different bank groups are read together.
  EXPECT_EQ(element<std::uint16_t>(blob, h.place, 16), 8 * 296);
  EXPECT_EQ(element<std::uint16_t>(blob, h.place, 16 + 1), 8 * 297 + 1);
  EXPECT_EQ(element<std::uint16_t>(blob, h.weights, 256 + static_cast<std::size_t>(column_vector_at(3, 0))),
            0x3333);
  EXPECT_EQ(element<std::uint16_t>(blob, h.weights, 256 + static_cast<std::size_t>(column_vector_at(3, 1))),
            0x4444);
  EXPECT_EQ(element<std::uint16_t>(blob, h.place, 32), 8 * 9 + 1);
  EXPECT_EQ(element<std::uint16_t>(blob, h.weights, 512 + static_cast<std::size_t>(column_vector_at(1, 0))),
            0x2222);
}

/// Loads of eight columns take as long as their fullest bank group.
TEST(ColumnVectorsPack, ColumnsReadTogetherLieInManyBankGroups) {
  const RandomWeight weight(256, 2304, 0.01);
  const auto blob = packed(weight.view);
  const ColumnVectorsHeader h = read_header<ColumnVectorsHeader>(blob);
  double loads = 0;
  for (std::size_t group = 0; group < 2 * std::size_t{h.steps}; ++group) {
    std::array<int, 8> in_bank{};
    for (std::size_t slot = 0; slot < 8; ++slot)
      ++in_bank[element<std::uint16_t>(blob, h.place, group * 8 + slot) % 8];
    loads += *std::max_element(in_bank.begin(), in_bank.end());
  }
  EXPECT_LT(loads / (2.0 * h.steps), 1.35);  // unsorted 2.6
}

TEST(ColumnVectorsPack, DensityCountsColumnsOfPanels) {
  EXPECT_EQ(column_vectors_density(RandomWeight(64, 512, 0).view, DType::bf16, 2), 0);
  EXPECT_EQ(column_vectors_density(RandomWeight(64, 512, 1).view, DType::bf16, 2), 1);
  const RandomWeight weight(512, 2048, 0.01);
  const double density = column_vectors_density(weight.view, DType::bf16, 2);
  EXPECT_NEAR(density, 0.149, 0.01);
  EXPECT_DOUBLE_EQ(read_header<ColumnVectorsHeader>(packed(weight.view)).density(), density);
}

TEST(ColumnVectorsPack, DamageIsRefusedOrHarmless) {
  const RandomWeight weight(150, 900, 0.02, 11);
  expect_damage_refused_or_harmless(packed(weight.view), Format::column_vectors, 150, 900, 128, 100);
}

TEST(ColumnVectorsPack, EveryHeaderFieldAndListIsChecked) {
  const RandomWeight weight(150, 900, 0.05, 11);
  const auto blob = packed(weight.view);
  using Bytes = std::vector<std::byte>;
  using Header = ColumnVectorsHeader;
  const auto wrong = [&](auto change) {
    return check_changed<Header>(blob, Format::column_vectors, 150, 900, change);
  };
  EXPECT_EQ(wrong([](Header&, Bytes&) {}), "");
  EXPECT_NE(wrong([](Header& h, Bytes&) { h.bytes = 8; }), "");
  EXPECT_NE(wrong([](Header& h, Bytes&) { h.panels = 9; }), "");
  EXPECT_NE(wrong([](Header& h, Bytes&) { h.blocks = 1; }), "");
  EXPECT_NE(wrong([](Header& h, Bytes&) { h.block_cols = 0; }), "");
  EXPECT_NE(wrong([](Header& h, Bytes&) { h.block_cols = 452; }), "");
  EXPECT_NE(wrong([](Header& h, Bytes&) { h.block_cols = 900; }), "");
  EXPECT_NE(wrong([](Header& h, Bytes&) { h.steps -= 1; }), "");
  EXPECT_NE(wrong([](Header& h, Bytes&) { h.steps = ~0u; }), "");
  EXPECT_NE(wrong([](Header& h, Bytes&) { h.columns = ~std::uint64_t{0}; }), "");
  for (const auto field : {&Header::begin, &Header::place, &Header::weights}) {
    EXPECT_NE(wrong([&](Header& h, Bytes&) { h.*field = 0; }), "");
    EXPECT_NE(wrong([&](Header& h, Bytes&) { h.*field += 64; }), "");
    EXPECT_NE(wrong([&](Header& h, Bytes&) { h.*field = ~std::uint64_t{127}; }), "");
  }
  EXPECT_NE(wrong([&](Header& h, Bytes& b) { put_element(b, h.begin, 0, std::uint32_t{1}); }), "");
  EXPECT_NE(wrong([&](Header& h, Bytes& b) { put_element(b, h.begin, 1, std::uint32_t{100000}); }), "");
  const auto says = [&](auto change, const char* what) {
    EXPECT_NE(wrong(change).find(what), std::string::npos) << wrong(change);
  };
  says([&](Header& h, Bytes& b) { put_element(b, h.place, 3, std::uint16_t{5}); }, "names place 5");
  says([&](Header& h, Bytes& b) { put_element(b, h.place, 0, std::uint16_t{8 * 456}); }, "names place 3648");
  // The last panel has rows 144 to 149.
  says(
      [&](Header& h, Bytes& b) {
        const std::size_t last = (h.steps - 1) * std::size_t{column_vector_values};
        put_element(b, h.weights, last + static_cast<std::size_t>(column_vector_at(6, 0)), std::uint16_t{1});
      },
      "below row 150");
  says(
      [&](Header& h, Bytes& b) {
        put_element(b, h.place, 1, element<std::uint16_t>(b, h.place, 0));
        put_element(b, h.weights, static_cast<std::size_t>(column_vector_at(0, 0)), std::uint16_t{1});
        put_element(b, h.weights, static_cast<std::size_t>(column_vector_at(0, 1)), std::uint16_t{1});
      },
      "is there twice");
}

}  // namespace
}  // namespace cross::compiler
