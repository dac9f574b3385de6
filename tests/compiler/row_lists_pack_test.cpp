// Packing fp32 weights as lists of rows: round trip bit for bit, bytes, balance, damage.
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <random>
#include <vector>

#include "compiler/damage.h"
#include "compiler/pack/gpu/pack_gpu.h"
#include "plan/formats/gpu/blob.h"
#include "plan/formats/gpu/row_lists.h"

namespace cross::compiler {
namespace {

using namespace formats::gpu;
using Bytes = std::vector<std::byte>;

/// Each position is kept with probability `density`; any bits but zero, NaN, Inf and -0.0 among them.
struct Weight {
  std::vector<std::uint32_t> bits;
  MatrixView view;

  Weight(std::int64_t rows, std::int64_t cols, double density) : bits(static_cast<std::size_t>(rows * cols)) {
    std::mt19937 random(static_cast<unsigned>(rows * 31 + cols));
    std::bernoulli_distribution keep(density), special(0.1);
    for (auto& b : bits) {
      if (!keep(random)) continue;
      constexpr std::uint32_t odd[] = {0x80000000u, 0x7f800000u, 0x7fc00001u, 1u};
      b = special(random) ? odd[random() % 4]
                          : std::max<std::uint32_t>(1, static_cast<std::uint32_t>(random()));
    }
    view = {DType::fp32, rows, cols, reinterpret_cast<const std::byte*>(bits.data())};
  }
  std::uint32_t& at(std::int64_t r, std::int64_t c) {
    return bits[static_cast<std::size_t>(r * view.cols + c)];
  }
};

Bytes packed(const Weight& weight) {
  std::int64_t kept = -1;
  auto blob = pack_gpu(weight.view, DType::fp32, Format::row_lists, {}, 2, kept);
  EXPECT_EQ(kept, static_cast<std::int64_t>(weight.bits.size()) -
                      std::count(weight.bits.begin(), weight.bits.end(), 0u));
  return blob;
}

struct Case {
  std::int64_t rows, cols;
  double density;
};

class RowListsPack : public testing::TestWithParam<Case> {};

TEST_P(RowListsPack, DecodesToTheWeight) {
  const auto [rows, cols, density] = GetParam();
  const Weight weight(rows, cols, density);
  const Bytes blob = packed(weight);
  ASSERT_EQ(formats::gpu::check(blob, Format::row_lists, rows, cols), "");
  std::vector<std::uint32_t> out(weight.bits.size());
  decode(blob, [&](std::int64_t row, std::int64_t col, std::uint32_t bits) {
    out[static_cast<std::size_t>(row * cols + col)] = bits;
  });
  EXPECT_EQ(out, weight.bits);
}

INSTANTIATE_TEST_SUITE_P(Shapes, RowListsPack,
                         testing::Values(Case{1, 1, 1}, Case{1, 1, 0}, Case{7, 13, 0.5}, Case{32, 32, 1},
                                         Case{33, 1024, 0.1}, Case{31, 1025, 1}, Case{200, 1031, 0.1},
                                         Case{3, 5000, 0.01}, Case{520, 64, 0.3}, Case{130, 3000, 0.02}));

TEST(RowListsPack, BytesAreAsDocumented) {
  // Rows 5 and 9 keep two and three columns, 40 one; the others nothing.
  Weight weight(41, 100, 0);
  weight.at(5, 3) = 11, weight.at(5, 70) = 12;
  weight.at(9, 0) = 13, weight.at(9, 4) = 14, weight.at(9, 99) = 15;
  weight.at(40, 8) = 16;
  const Bytes blob = packed(weight);
  const RowListsHeader h = read_header<RowListsHeader>(blob);
  EXPECT_EQ(h.panels, 2);
  EXPECT_EQ(h.blocks, 1);
  EXPECT_EQ(h.block_cols, 128);
  ASSERT_EQ(h.steps, 17u);
  // Granules 1 (row 9), 0 and 5 keep 3, 2 and 1: the first panel has 1, the second 0 and 5, empty ones fill
  // up.
  EXPECT_EQ(element<std::uint32_t>(blob, h.granules, 0), 1u);
  EXPECT_EQ(element<std::uint32_t>(blob, h.granules, 4), 0u);
  EXPECT_EQ(element<std::uint32_t>(blob, h.granules, 5), 5u);
  EXPECT_EQ(element<std::uint8_t>(blob, h.order, 0), 1);   // row 9 is row 1 of granule 1
  EXPECT_EQ(element<std::uint8_t>(blob, h.order, 32), 5);  // row 5
  EXPECT_EQ(element<std::uint8_t>(blob, h.order, 33), 8);  // row 40
  // Every list has a step, that of row 9 two.
  for (std::uint64_t list = 0; list <= 16; ++list)
    EXPECT_EQ(element<std::uint32_t>(blob, h.begin, list), list == 0 ? 0u : list + 1) << list;
  const auto entry = [&](std::uint64_t at) { return element<RowListEntry>(blob, h.entries, at); };
  EXPECT_EQ(entry(0).bits, 13u);
  EXPECT_EQ(entry(0).place, 0u);
  EXPECT_EQ(entry(1).bits, 14u);
  EXPECT_EQ(entry(1).place, 4u * 128 + 16);
  EXPECT_EQ(entry(2).bits, row_list_filling_bits);
  EXPECT_EQ(entry(2).place, 128u * 128);
  EXPECT_EQ(entry(8).bits, 15u);
  EXPECT_EQ(entry(8).place, 99u * 128);
  EXPECT_EQ(entry(9).bits, row_list_filling_bits);
  EXPECT_EQ(entry(16).bits, row_list_filling_bits);  // the second quad
  EXPECT_EQ(entry(8 * 9).bits, 11u);                 // the second panel
  EXPECT_EQ(entry(8 * 9 + 1).place, 70u * 128 + 16);
  EXPECT_EQ(entry(8 * 9 + 2).bits, 16u);
  EXPECT_EQ(entry(8 * 9 + 2).place, 8u * 128 + 32);
}

/// Rows of a quad have nearly one length: little is filling.
TEST(RowListsPack, LittleIsFilling) {
  const Weight weight(256, 4096, 0.01);
  const RowListsHeader h = read_header<RowListsHeader>(packed(weight));
  EXPECT_EQ(h.blocks, 4);
  EXPECT_EQ(h.block_cols, 1024);
  const auto kept = static_cast<double>(weight.bits.size()) -
                    static_cast<double>(std::count(weight.bits.begin(), weight.bits.end(), 0u));
  EXPECT_LT(h.steps * 8.0 / kept, 1.15);  // 1.5 if rows stood in their own order
}

/// Wherever the full rows are, neighbouring panels keep equally much.
TEST(RowListsPack, PanelsAreBalanced) {
  Weight weight(1024, 256, 0.05);
  const Weight full(1024, 256, 0.6);
  for (std::int64_t r = 96; r < 352; ++r)
    for (std::int64_t c = 0; c < 256; ++c) weight.at(r, c) = full.bits[static_cast<std::size_t>(r * 256 + c)];
  const Bytes blob = packed(weight);
  const RowListsHeader h = read_header<RowListsHeader>(blob);
  for (const int panels : {1, 2, 4, 8}) {
    double most = 0;
    for (std::int32_t p = 0; p < h.panels; p += panels) {
      const auto at = [&](std::int32_t panel) {
        return element<std::uint32_t>(blob, h.begin, static_cast<std::uint64_t>(panel) * row_list_quads);
      };
      most = std::max<double>(most, at(p + panels) - at(p));
    }
    EXPECT_LT(most * h.panels / panels / h.steps, 1.08) << panels;
  }
}

TEST(RowListsPack, DamageIsRefusedOrHarmless) {
  const Weight weight(150, 1200, 0.02);
  expect_damage_refused_or_harmless(packed(weight), Format::row_lists, 150, 1200, 1024, 600);
}

TEST(RowListsPack, EveryHeaderFieldAndListIsChecked) {
  const Weight weight(150, 1200, 0.05);
  const Bytes blob = packed(weight);
  using Header = RowListsHeader;
  const auto wrong = [&](auto change) {
    return check_changed<Header>(blob, Format::row_lists, 150, 1200, change);
  };
  EXPECT_EQ(wrong([](Header&, Bytes&) {}), "");
  EXPECT_NE(wrong([](Header& h, Bytes&) { h.bytes = 8; }), "");
  EXPECT_NE(wrong([](Header& h, Bytes&) { h.panels = 9; }), "");
  EXPECT_NE(wrong([](Header& h, Bytes&) { h.blocks = 1; }), "");
  EXPECT_NE(wrong([](Header& h, Bytes&) { h.block_cols = 0; }), "");
  EXPECT_NE(wrong([](Header& h, Bytes&) { h.block_cols = 592; }), "");
  EXPECT_NE(wrong([](Header& h, Bytes&) {
              h.block_cols = 1216;
              h.blocks = 1;
            }),
            "");
  EXPECT_NE(wrong([](Header& h, Bytes&) { h.steps -= 1; }), "");
  EXPECT_NE(wrong([](Header& h, Bytes&) { h.steps = ~0u; }), "");
  for (const auto field : {&Header::granules, &Header::order, &Header::begin, &Header::entries}) {
    EXPECT_NE(wrong([&](Header& h, Bytes&) { h.*field = 0; }), "");
    EXPECT_NE(wrong([&](Header& h, Bytes&) { h.*field += 64; }), "");
    EXPECT_NE(wrong([&](Header& h, Bytes&) { h.*field = ~std::uint64_t{127}; }), "");
  }
  EXPECT_NE(wrong([&](Header& h, Bytes& b) { put_element(b, h.begin, 0, std::uint32_t{1}); }), "");
  EXPECT_NE(wrong([&](Header& h, Bytes& b) { put_element(b, h.begin, 1, std::uint32_t{100000}); }), "");
  const auto says = [&](auto change, const char* what) {
    EXPECT_NE(wrong(change).find(what), std::string::npos) << wrong(change);
  };
  const auto entry = [](const Bytes& b, const Header& h, std::size_t at) {
    return element<RowListEntry>(b, h.entries, at);
  };
  says([&](Header& h, Bytes& b) { put_element(b, h.granules, 1, std::uint32_t{20}); }, "granule 20");
  says([&](Header& h, Bytes& b) { put_element(b, h.granules, 1, element<std::uint32_t>(b, h.granules, 2)); },
       "or twice");
  says([&](Header& h, Bytes& b) { put_element(b, h.order, 33, std::uint8_t{32}); }, "panel 1 does not");
  says([&](Header& h, Bytes& b) { put_element(b, h.order, 33, element<std::uint8_t>(b, h.order, 34)); },
       "panel 1 does not");
  says(
      [&](Header& h, Bytes& b) {
        put_element(b, h.entries, 0, RowListEntry{1, entry(b, h, 0).place ^ 16});
      },
      "no column of 608");
  says(
      [&](Header& h, Bytes& b) {
        put_element(b, h.entries, 0, RowListEntry{0, entry(b, h, 0).place});
      },
      "keeps a zero");
  says(
      [&](Header& h, Bytes& b) {
        put_element(b, h.entries, 1, RowListEntry{1, entry(b, h, 0).place});
      },
      "behind column");
}

/// Rows below the last keep nothing.
TEST(RowListsPack, WeightsBelowTheMatrixAreRefused) {
  Bytes blob = packed(Weight(150, 64, 1));
  // 24 rows less are a panel less full, of which granule 19 has rows 152 to 159.
  auto h = read_header<RowListsHeader>(blob);
  h.rows = 145;
  std::memcpy(blob.data(), &h, sizeof h);
  EXPECT_NE(check(blob, Format::row_lists, 145, 64).find("has a weight of row 14"), std::string::npos);
}

}  // namespace
}  // namespace cross::compiler
