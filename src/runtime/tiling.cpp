#include "runtime/tiling.h"

#include <algorithm>

#include "plan/formats/layout.h"

namespace cross::runtime {

std::int64_t padded_elements(std::int64_t columns, kernels::Arithmetic arithmetic) {
  return static_cast<std::int64_t>(formats::round_up(static_cast<std::size_t>(columns), 64)) /
         kernels::columns_per_element(arithmetic);
}

Tiling tile_tokens(int tokens, int item_tokens, int lanes, std::int64_t elements) {
  const std::vector<int> choices = kernels::tile_vectors(lanes);
  const int widest = choices.back() * lanes;
  Tiling tiling;
  for (int token = 0; token < tokens;) {
    const int in_item = item_tokens - token % item_tokens;
    TokenTile tile;
    tile.token = token;
    tile.tokens = std::min({widest, tokens - token, in_item});
    tile.vectors = *std::lower_bound(choices.begin(), choices.end(), (tile.tokens + lanes - 1) / lanes);
    tile.x_offset = tiling.x_bytes;
    const int width = tile.vectors * lanes;
    tiling.x_bytes += static_cast<std::size_t>(elements * width) * 4;
    if (token % item_tokens == 0) tiling.items.push_back({static_cast<int>(tiling.tiles.size()), 0, 0});
    BatchItem& item = tiling.items.back();
    tile.acc_offset = static_cast<std::size_t>(item.width);
    ++item.tiles;
    item.width += width;
    tiling.widest_item = std::max(tiling.widest_item, item.width);
    tiling.tiles.push_back(tile);
    token += tile.tokens;
  }
  return tiling;
}

}  // namespace cross::runtime
