// How tokens are cut into tiles and batch items.
#include "runtime/tiling.h"

#include <gtest/gtest.h>

#include "kernels/table.h"

namespace cross::runtime {
namespace {

/// Tiles as {first token, tokens, vectors}.
using Tiles = std::vector<std::array<int, 3>>;

struct Case {
  int tokens, item_tokens, lanes;
  Tiles tiles;
  std::vector<int> tiles_of_items;
};

TEST(Tiling, expected_cuts) {
  const Case cases[] = {
      {1, 64, 8, {{0, 1, 1}}, {1}},
      {8, 64, 8, {{0, 8, 1}}, {1}},
      {9, 64, 8, {{0, 9, 2}}, {1}},
      {40, 64, 8, {{0, 40, 6}}, {1}},  // five vectors are no choice
      {64, 64, 8, {{0, 64, 8}}, {1}},
      {65, 64, 8, {{0, 64, 8}, {64, 1, 1}}, {1, 1}},
      {65, 128, 8, {{0, 64, 8}, {64, 1, 1}}, {2}},
      {17, 64, 16, {{0, 17, 2}}, {1}},
      {130, 100, 16, {{0, 64, 4}, {64, 36, 3}, {100, 30, 2}}, {2, 1}},
      {5, 2, 8, {{0, 2, 1}, {2, 2, 1}, {4, 1, 1}}, {1, 1, 1}},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(::testing::Message() << c.tokens << " tokens in items of " << c.item_tokens);
    const Tiling tiling = tile_tokens(c.tokens, c.item_tokens, c.lanes, 64);
    Tiles tiles;
    for (const TokenTile& tile : tiling.tiles) tiles.push_back({tile.token, tile.tokens, tile.vectors});
    EXPECT_EQ(tiles, c.tiles);
    std::vector<int> counts;
    for (const BatchItem& item : tiling.items) counts.push_back(item.tiles);
    EXPECT_EQ(counts, c.tiles_of_items);
  }
}

TEST(Tiling, keeps_its_contract) {
  for (const int lanes : {8, 16})
    for (const int item_tokens : {1, 3, 16, 40, 64, 100, 512, 1 << 20}) {
      std::size_t most_bytes = 0;
      int widest = 0;
      for (int tokens = 1; tokens <= 512; ++tokens) {
        const Tiling tiling = tile_tokens(tokens, item_tokens, lanes, 64);
        int next = 0;
        std::size_t bytes = 0;
        for (const TokenTile& tile : tiling.tiles) {
          ASSERT_EQ(tile.token, next);
          ASSERT_EQ(tile.x_offset, bytes);
          ASSERT_EQ(tile.x_offset % 64, 0u);
          ASSERT_LE(tile.tokens, tile.vectors * lanes);
          ASSERT_LE(tile.vectors * lanes, kernels::max_tile_tokens);
          next += tile.tokens;
          bytes += static_cast<std::size_t>(tile.vectors * lanes) * 64 * 4;
        }
        ASSERT_EQ(next, tokens);
        ASSERT_EQ(tiling.x_bytes, bytes);
        int tile = 0;
        for (const BatchItem& item : tiling.items) {
          ASSERT_EQ(item.first_tile, tile);
          int width = 0, of_item = 0;
          for (int i = 0; i < item.tiles; ++i, ++tile) {
            const TokenTile& t = tiling.tiles[static_cast<std::size_t>(tile)];
            ASSERT_EQ(t.acc_offset, static_cast<std::size_t>(width));
            width += t.vectors * lanes;
            of_item += t.tokens;
          }
          ASSERT_EQ(item.width, width);
          ASSERT_LE(of_item, item_tokens);
          ASSERT_LE(width, tiling.widest_item);
        }
        ASSERT_EQ(tile, static_cast<int>(tiling.tiles.size()));
        // The workspace is sized for a full pass: no shorter one may need more.
        ASSERT_GE(bytes, most_bytes);
        ASSERT_GE(tiling.widest_item, widest);
        most_bytes = bytes;
        widest = tiling.widest_item;
      }
    }
}

TEST(Tiling, pads_columns_to_whole_mask_words) {
  EXPECT_EQ(padded_elements(1, kernels::Arithmetic::fp32), 64);
  EXPECT_EQ(padded_elements(64, kernels::Arithmetic::bf16_widened), 64);
  EXPECT_EQ(padded_elements(65, kernels::Arithmetic::fp32), 128);
  EXPECT_EQ(padded_elements(65, kernels::Arithmetic::bf16_pair), 64);
}

}  // namespace
}  // namespace cross::runtime
