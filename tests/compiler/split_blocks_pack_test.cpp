// Packing fp32 weights as two fp16 parts each: round trip bit for bit, banks, bytes, damage.
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <set>
#include <vector>

#include "compiler/damage.h"
#include "compiler/pack/gpu/pack_gpu.h"
#include "plan/formats/gpu/blob.h"
#include "plan/formats/gpu/split_blocks.h"

namespace cross::compiler {
namespace {

using formats::gpu::element;
using formats::gpu::read_header;
using formats::gpu::SplitBlocksHeader;
using formats::gpu::SplitException;
using Bytes = std::vector<std::byte>;

struct Weight {
  std::vector<float> values;
  MatrixView view;

  /// Normal values of `binades` different magnitudes.
  Weight(std::int64_t rows, std::int64_t cols, double density, int binades = 1)
      : values(static_cast<std::size_t>(rows * cols)) {
    std::mt19937 random(static_cast<unsigned>(rows * 31 + cols));
    std::bernoulli_distribution keep(density);
    std::normal_distribution<float> value;
    std::uniform_int_distribution<int> exponent(-binades / 2, (binades - 1) / 2);
    for (float& v : values) v = keep(random) ? std::ldexp(value(random), exponent(random)) : 0.0f;
    view = {DType::fp32, rows, cols, reinterpret_cast<const std::byte*>(values.data())};
  }
  float& at(std::int64_t r, std::int64_t c) { return values[static_cast<std::size_t>(r * view.cols + c)]; }
};

Bytes packed(const Weight& weight) {
  std::int64_t kept = -1;
  auto blob = pack_gpu(weight.view, DType::fp32, Format::split_blocks, {}, 2, kept);
  EXPECT_EQ(kept, std::count_if(weight.values.begin(), weight.values.end(),
                                [](float v) { return std::bit_cast<std::uint32_t>(v) != 0; }));
  return blob;
}

std::string check(const Bytes& blob, const Weight& weight) {
  return formats::gpu::check(blob, Format::split_blocks, weight.view.rows, weight.view.cols);
}

void expect_same(const Weight& weight) {
  const Bytes blob = packed(weight);
  ASSERT_EQ(check(blob, weight), "");
  std::vector<float> out(weight.values.size());
  std::int64_t visited = 0;
  formats::gpu::decode(blob, [&](std::int64_t row, std::int64_t col, std::uint32_t bits) {
    out[static_cast<std::size_t>(row * weight.view.cols + col)] = std::bit_cast<float>(bits);
    ++visited;
  });
  EXPECT_EQ(std::memcmp(out.data(), weight.values.data(), 4 * out.size()), 0);
  EXPECT_EQ(visited, std::count_if(out.begin(), out.end(),
                                   [](float v) { return std::bit_cast<std::uint32_t>(v) != 0; }));
}

struct Case {
  std::int64_t rows, cols;
  double density;
};

class SplitBlocksPack : public testing::TestWithParam<Case> {};

TEST_P(SplitBlocksPack, DecodesToTheWeight) {
  const auto [rows, cols, density] = GetParam();
  for (const int binades : {1, 40, 250}) expect_same(Weight(rows, cols, density, binades));
}

INSTANTIATE_TEST_SUITE_P(Shapes, SplitBlocksPack,
                         testing::Values(Case{1, 1, 1}, Case{1, 1, 0}, Case{3, 7, 0.5}, Case{64, 64, 1},
                                         Case{65, 63, 0.4}, Case{128, 64, 1}, Case{129, 65, 0.3},
                                         Case{257, 1031, 0.03}, Case{700, 500, 0.2}));

TEST(SplitBlocks, PlacesOfABlockAreItsOwn) {
  std::set<std::uint32_t> all;
  for (int row = 0; row < formats::gpu::split_rows; ++row)
    for (int col = 0; col < formats::gpu::split_k; ++col) {
      const std::uint32_t place = formats::gpu::split_place(row, col);
      EXPECT_EQ(place & ~formats::gpu::split_place_mask, 0u);
      EXPECT_EQ(formats::gpu::split_place_row(place), row);
      EXPECT_EQ(formats::gpu::split_place_col(place), col);
      all.insert(place);
    }
  EXPECT_EQ(all.size(), 128u * 64u);
}

/// Row 70 keeps column 5 of the second block of columns: 5 = 4 · 1 + 1 stands at slot 2 · 1 + 1.
TEST(SplitBlocks, BytesAreAsDocumented) {
  Weight weight(80, 100, 0);
  weight.at(70, 64 + 5) = -0.75f;
  const Bytes blob = packed(weight);
  const auto h = read_header<SplitBlocksHeader>(blob);
  EXPECT_EQ(h.panels, 1);
  EXPECT_EQ(h.k_blocks, 2);
  EXPECT_EQ(h.quads, 1u);
  EXPECT_EQ(h.exception_count, 0u);
  for (std::uint64_t list = 0; list < 5; ++list)
    EXPECT_EQ(element<std::uint32_t>(blob, h.begin, list), list < 4 ? 0u : 1u);
  EXPECT_EQ(element<std::int32_t>(blob, h.exponents, 70), 15);
  const std::uint32_t place = 8192 + 128 * 6 + 16 * (0 ^ 6) + 2 * 3;
  for (std::uint64_t entry = 0; entry < 4; ++entry) {
    EXPECT_EQ(element<std::uint32_t>(blob, h.parts, entry), 0xf600u);  // −0.75 · 2^15 in fp16, nothing left
    EXPECT_EQ(element<std::uint16_t>(blob, h.places, entry), place | 2u << 14);  // not moved: 4 = 0 + 2 · 2
  }
}

/// What two fp16 parts cannot hold comes back all the same, and is not taken for pruned.
TEST(SplitBlocks, ExtremesAreExceptions) {
  Weight weight(64, 64, 0.5);
  weight.at(3, 3) = -0.0f;
  weight.at(4, 4) = std::numeric_limits<float>::denorm_min();
  weight.at(4, 5) = std::numeric_limits<float>::max();
  expect_same(weight);
  const Bytes blob = packed(weight);
  const auto h = read_header<SplitBlocksHeader>(blob);
  EXPECT_GT(h.exception_count, 1u);
  for (std::uint64_t entry = 0; entry < 4 * h.quads; ++entry)
    EXPECT_NE(element<std::uint32_t>(blob, h.parts, entry), 0u);
}

TEST(SplitBlocks, RefusesWhatIsNotFinite) {
  Weight weight(20, 30, 0.5);
  weight.at(7, 11) = INFINITY;
  EXPECT_EQ(gpu_format_refuses(weight.view, DType::fp32, Format::split_blocks),
            "the weight at row 7, column 11 is not finite");
  EXPECT_NE(gpu_format_refuses(weight.view, DType::bf16, Format::split_blocks), "");
}

/// Most of what the lanes of a warp write together goes to different banks.
TEST(SplitBlocks, BanksAreDealt) {
  const Bytes blob = packed(Weight(512, 512, 0.3));
  const auto h = read_header<SplitBlocksHeader>(blob);
  double turns = 0, writes = 0;
  for (std::uint64_t list = 0; list < 2 * 4 * 8; ++list) {
    const auto begin = element<std::uint32_t>(blob, h.begin, list),
               end = element<std::uint32_t>(blob, h.begin, list + 1);
    for (std::uint64_t quad = begin; quad < end; quad += 32)
      for (std::uint64_t j = 0; j < 4; ++j) {
        int banks[32] = {}, most = 0;
        for (std::uint64_t lane = quad; lane < std::min<std::uint64_t>(end, quad + 32); ++lane)
          most = std::max(most,
                          ++banks[(element<std::uint16_t>(blob, h.places, 4 * lane + j) & 0x3ffe) / 4 % 32]);
        turns += most;
        writes += 1;
      }
  }
  EXPECT_LT(turns / writes, 1.4);
}

TEST(SplitBlocks, TakesSixBytesAWeight) {
  const Weight weight(1024, 1024, 0.2);
  const double kept = 0.2 * 1024 * 1024;
  EXPECT_LT(static_cast<double>(packed(weight).size()), 6.15 * kept);
}

TEST(SplitBlocks, DamageIsRefusedOrHarmless) {
  const Weight weight(150, 300, 0.4, 60);
  expect_damage_refused_or_harmless(packed(weight), Format::split_blocks, 150, 300, 1024, 500);
}

TEST(SplitBlocks, EveryHeaderFieldAndListIsChecked) {
  const Weight weight(150, 300, 0.4, 60);
  const Bytes blob = packed(weight);
  const auto refused = [&](auto change) {
    Bytes damaged = blob;
    auto header = read_header<SplitBlocksHeader>(damaged);
    change(header, damaged);
    std::memcpy(damaged.data(), &header, sizeof header);
    return !check(damaged, weight).empty();
  };
  EXPECT_FALSE(refused([](SplitBlocksHeader&, Bytes&) {}));
  EXPECT_TRUE(refused([](SplitBlocksHeader& h, Bytes&) { h.bytes = 8; }));
  EXPECT_TRUE(refused([](SplitBlocksHeader& h, Bytes&) { h.panels = 3; }));
  EXPECT_TRUE(refused([](SplitBlocksHeader& h, Bytes&) { h.k_blocks = -1; }));
  EXPECT_TRUE(refused([](SplitBlocksHeader& h, Bytes&) { h.quads -= 1; }));
  EXPECT_TRUE(refused([](SplitBlocksHeader& h, Bytes&) { h.quads = std::uint64_t{1} << 40; }));
  EXPECT_TRUE(refused([](SplitBlocksHeader& h, Bytes&) { h.exception_count = std::uint64_t{1} << 61; }));
  for (const auto field :
       {&SplitBlocksHeader::begin, &SplitBlocksHeader::exponents, &SplitBlocksHeader::parts,
        &SplitBlocksHeader::places, &SplitBlocksHeader::exceptions}) {
    EXPECT_TRUE(refused([&](SplitBlocksHeader& h, Bytes&) { h.*field = 0; }));
    EXPECT_TRUE(refused([&](SplitBlocksHeader& h, Bytes&) { h.*field += 64; }));
    EXPECT_TRUE(refused([&](SplitBlocksHeader& h, Bytes&) { h.*field = ~std::uint64_t{127}; }));
  }
  EXPECT_TRUE(refused([&](SplitBlocksHeader& h, Bytes& b) { put_element(b, h.begin, 1, 1u << 29); }));
  EXPECT_TRUE(refused([&](SplitBlocksHeader& h, Bytes& b) { put_element(b, h.exponents, 9, 127); }));
  EXPECT_TRUE(refused([&](SplitBlocksHeader& h, Bytes& b) { put_element(b, h.parts, 2, 0u); }));
  EXPECT_TRUE(refused([&](SplitBlocksHeader& h, Bytes& b) { put_element(b, h.parts, 2, 0x7c00u); }));
  EXPECT_TRUE(
      refused([&](SplitBlocksHeader& h, Bytes& b) { put_element(b, h.places, 2, std::uint16_t{8192}); }));
  EXPECT_TRUE(refused([&](SplitBlocksHeader& h, Bytes& b) {
    put_element(b, h.places, 5, element<std::uint16_t>(b, h.places, 2));
  }));
  EXPECT_TRUE(refused([&](SplitBlocksHeader& h, Bytes& b) {
    put_element(b, h.exceptions, 1, SplitException{0, 1});
  }));
}

}  // namespace
}  // namespace cross::compiler
