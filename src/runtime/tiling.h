// How the tokens of one call are cut into tiles and batch items, and where everything stands in the
// workspace.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels/table.h"

namespace cross::runtime {

/// Tokens packed and multiplied at once; longer inputs take several passes, which bounds the workspace.
inline constexpr std::int64_t pass_tokens = 512;

/// A run of neighbouring tokens that share vectors.
struct TokenTile {
  int token = 0;  ///< first, within the pass
  int tokens = 0;
  int vectors = 0;
  std::size_t x_offset = 0;    ///< bytes into the packed activations
  std::size_t acc_offset = 0;  ///< floats per accumulator row before this tile, within its item
};

struct BatchItem {
  int first_tile = 0;
  int tiles = 0;
  int width = 0;  ///< padded tokens of all its tiles
};

struct Tiling {
  std::vector<TokenTile> tiles;
  std::vector<BatchItem> items;
  std::size_t x_bytes = 0;
  int widest_item = 0;
};

/// Widest tiles first, the rest in the narrowest tile that holds it; items of at most `item_tokens` tokens.
Tiling tile_tokens(int tokens, int item_tokens, int lanes, std::int64_t padded_elements);

/// Elements of the packed activations along K: columns rounded up to 64, so that whole mask words may be
/// read.
std::int64_t padded_elements(std::int64_t columns, kernels::Arithmetic arithmetic);

}  // namespace cross::runtime
