// Packing weights that stand in few blocks for the CUDA device family: round trip, order, waste, damage.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <random>
#include <span>
#include <vector>

#include "compiler/damage.h"
#include "compiler/pack/gpu/pack_gpu.h"
#include "compiler/round_trip.h"
#include "plan/formats/gpu/blob.h"
#include "plan/formats/gpu/block_tiles.h"

namespace cross::compiler {
namespace {

using formats::gpu::BlockTilesHeader;

/// Blocks of 64x64 are there with probability `keep`, their weights with probability `inside`.
struct Weight {
  std::vector<std::uint16_t> bits;
  MatrixView view;

  Weight(std::int64_t rows, std::int64_t cols, double keep, double inside, unsigned seed = 7)
      : bits(static_cast<std::size_t>(rows * cols)) {
    std::mt19937 random(seed);
    std::bernoulli_distribution block(keep), weight(inside);
    std::uniform_int_distribution<int> value(1, 0xffff);  // NaN, Inf and −0.0 among them
    for (std::int64_t row0 = 0; row0 < rows; row0 += 64)
      for (std::int64_t col0 = 0; col0 < cols; col0 += 64) {
        if (!block(random)) continue;
        for (std::int64_t r = row0; r < std::min(row0 + 64, rows); ++r)
          for (std::int64_t c = col0; c < std::min(col0 + 64, cols); ++c)
            if (weight(random))
              bits[static_cast<std::size_t>(r * cols + c)] = static_cast<std::uint16_t>(value(random));
      }
    view = {DType::bf16, rows, cols, reinterpret_cast<const std::byte*>(bits.data())};
  }
};

std::vector<std::byte> packed(const MatrixView& view, DType dtype = DType::bf16) {
  std::int64_t kept = 0;
  return pack_gpu(view, dtype, Format::block_tiles, {}, 2, kept);
}

struct Case {
  std::int64_t rows, cols;
  double keep, inside;
};

class BlockTilesPack : public testing::TestWithParam<Case> {};

TEST_P(BlockTilesPack, DecodesToTheWeight) {
  const auto [rows, cols, keep, inside] = GetParam();
  const Weight weight(rows, cols, keep, inside);
  expect_round_trip(weight.bits, weight.view, Format::block_tiles);
}

INSTANTIATE_TEST_SUITE_P(Shapes, BlockTilesPack,
                         testing::Values(Case{1, 1, 1, 1}, Case{1, 1, 0, 1}, Case{7, 13, 1, 0.5},
                                         Case{64, 64, 1, 1}, Case{65, 129, 1, 1}, Case{63, 1000, 0.3, 1},
                                         Case{200, 1031, 0.5, 0.1}, Case{1100, 64, 0.2, 0.9},
                                         Case{3, 5000, 0.1, 1}));

TEST(BlockTilesPack, TakesTheBytesOfItsBlocks) {
  const Weight weight(1024, 1024, 0.2, 1);
  const auto blob = packed(weight.view);
  const double bytes = 8192.0 * formats::gpu::read_header<BlockTilesHeader>(blob).blocks;
  EXPECT_GT(formats::gpu::read_header<BlockTilesHeader>(blob).blocks, 20);
  EXPECT_LT(formats::gpu::read_header<BlockTilesHeader>(blob).blocks, 90);
  EXPECT_LT(static_cast<double>(blob.size()), 1.01 * bytes);
}

TEST(BlockTilesPack, BytesAreAsDocumented) {
  // Row 27 of the second panel, column 64 + 30: piece 3 xor 27 mod 8, its seventh value.
  std::vector<std::uint16_t> bits(128 * 128);
  bits[(64 + 27) * 128 + 64 + 30] = 0x1234;
  const auto blob = packed({DType::bf16, 128, 128, reinterpret_cast<const std::byte*>(bits.data())});
  const BlockTilesHeader header = formats::gpu::read_header<BlockTilesHeader>(blob);
  EXPECT_EQ(header.blocks, 1);
  EXPECT_EQ(header.longest, 1);
  std::uint32_t order[2], column;
  std::memcpy(order, blob.data() + header.order, sizeof order);
  std::memcpy(&column, blob.data() + header.column, sizeof column);
  EXPECT_EQ(order[0], 1u);
  EXPECT_EQ(order[1], 0u);
  EXPECT_EQ(column, 1u);
  std::uint32_t first_step[2], step;
  std::memcpy(first_step, blob.data() + header.first_step, sizeof first_step);
  std::memcpy(&step, blob.data() + header.step, sizeof step);
  EXPECT_EQ(header.steps, 1);
  EXPECT_EQ(first_step[0], 0u);
  EXPECT_EQ(first_step[1], 1u);
  EXPECT_EQ(step, 4u * 1 + 1);  // the pair's first panel, which is panel 1
  std::uint16_t value;
  std::memcpy(&value, blob.data() + header.values + 27 * 128 + (3 ^ 3) * 16 + 6 * 2, sizeof value);
  EXPECT_EQ(value, 0x1234);
}

TEST(BlockTilesPack, PanelsThatKeepTheSameColumnsMakePairs) {
  // Panels 0 and 3 keep block columns 0 and 2, panels 1 and 2 keep 1; panel 4 keeps 3.
  const std::vector<std::vector<int>> kept = {{0, 2}, {1}, {1}, {0, 2}, {3}};
  std::vector<std::uint16_t> bits(320 * 256);
  for (std::size_t panel = 0; panel < kept.size(); ++panel)
    for (const int column : kept[panel]) bits[panel * 64 * 256 + static_cast<std::size_t>(column) * 64] = 1;
  const auto blob = packed({DType::bf16, 320, 256, reinterpret_cast<const std::byte*>(bits.data())});
  const BlockTilesHeader header = formats::gpu::read_header<BlockTilesHeader>(blob);
  const auto list = [&](std::uint64_t offset, std::size_t count) {
    std::vector<std::uint32_t> values(count);
    std::memcpy(values.data(), blob.data() + offset, 4 * count);
    return values;
  };
  using List = std::vector<std::uint32_t>;
  EXPECT_EQ(list(header.order, 5), (List{0, 3, 1, 2, 4}));
  EXPECT_EQ(list(header.first_step, 4), (List{0, 2, 3, 4}));
  EXPECT_EQ(list(header.step, 4), (List{4 * 0 + 3, 4 * 2 + 3, 4 * 1 + 3, 4 * 3 + 1}));
}

TEST(BlockTilesPack, ItsDensityIsThatOfBlocks) {
  EXPECT_EQ(block_tiles_density(Weight(256, 256, 0, 1).view, DType::bf16, 2), 0);
  EXPECT_EQ(block_tiles_density(Weight(250, 200, 1, 0.5).view, DType::bf16, 2), 1);
  // One weight in one of 4x3 blocks, the last of which are cut.
  Weight weight(200, 180, 0, 1);
  weight.bits.back() = 1;
  EXPECT_DOUBLE_EQ(block_tiles_density(weight.view, DType::bf16, 2), 1.0 / 12);
}

TEST(BlockTilesPack, DamageIsRefusedOrHarmless) {
  const Weight weight(150, 300, 0.5, 0.6, 11);
  expect_damage_refused_or_harmless(packed(weight.view), Format::block_tiles, 150, 300, 1024, 100);
}

TEST(BlockTilesPack, EveryHeaderFieldAndListIsChecked) {
  const Weight weight(150, 300, 0.7, 1, 11);
  const auto blob = packed(weight.view);
  const auto refused = [&](auto change) {
    auto damaged = blob;
    BlockTilesHeader header = formats::gpu::read_header<BlockTilesHeader>(damaged);
    change(header, damaged);
    std::memcpy(damaged.data(), &header, sizeof header);
    return !formats::gpu::check(damaged, Format::block_tiles, 150, 300).empty();
  };
  using Bytes = std::vector<std::byte>;
  EXPECT_FALSE(refused([](BlockTilesHeader&, Bytes&) {}));
  EXPECT_TRUE(refused([](BlockTilesHeader& h, Bytes&) { h.bytes = 8; }));
  EXPECT_TRUE(refused([](BlockTilesHeader& h, Bytes&) { h.panels = 4; }));
  EXPECT_TRUE(refused([](BlockTilesHeader& h, Bytes&) { h.k_blocks = -1; }));
  EXPECT_TRUE(refused([](BlockTilesHeader& h, Bytes&) { h.blocks -= 1; }));
  EXPECT_TRUE(refused([](BlockTilesHeader& h, Bytes&) { h.longest += 1; }));
  EXPECT_TRUE(refused([](BlockTilesHeader& h, Bytes&) { h.steps += 1; }));
  EXPECT_TRUE(refused([](BlockTilesHeader& h, Bytes&) { h.steps -= 1; }));
  for (const auto field :
       {&BlockTilesHeader::order, &BlockTilesHeader::begin, &BlockTilesHeader::column,
        &BlockTilesHeader::first_step, &BlockTilesHeader::step, &BlockTilesHeader::values}) {
    EXPECT_TRUE(refused([&](BlockTilesHeader& h, Bytes&) { h.*field = 0; }));
    EXPECT_TRUE(refused([&](BlockTilesHeader& h, Bytes&) { h.*field += 64; }));
    EXPECT_TRUE(refused([&](BlockTilesHeader& h, Bytes&) { h.*field = ~std::uint64_t{127}; }));
  }
  const auto put = [](Bytes& bytes, std::uint64_t offset, std::size_t index, std::uint32_t value) {
    std::memcpy(bytes.data() + offset + 4 * index, &value, 4);
  };
  EXPECT_TRUE(refused([&](BlockTilesHeader& h, Bytes& b) { put(b, h.order, 0, 3); }));
  EXPECT_TRUE(refused([&](BlockTilesHeader& h, Bytes& b) { put(b, h.begin, 1, 1000); }));
  EXPECT_TRUE(refused([&](BlockTilesHeader& h, Bytes& b) { put(b, h.column, 0, 5); }));
  EXPECT_TRUE(refused([&](BlockTilesHeader& h, Bytes& b) { put(b, h.column, 1, 0); }));
  EXPECT_TRUE(refused([&](BlockTilesHeader& h, Bytes& b) { put(b, h.first_step, 1, 1); }));
  EXPECT_TRUE(refused([&](BlockTilesHeader& h, Bytes& b) { put(b, h.step, 0, 4 * 5 + 1); }));
  EXPECT_TRUE(refused([&](BlockTilesHeader& h, Bytes& b) { put(b, h.step, 0, 0); }));
}

}  // namespace
}  // namespace cross::compiler
