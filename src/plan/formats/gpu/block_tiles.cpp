#include "plan/formats/gpu/block_tiles.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "plan/formats/gpu/blob.h"

namespace cross::formats::gpu {
namespace {

/// Calls f(row, col, bits) for every nonzero value of a block, filling included.
template <class F>
void for_each_value(std::span<const std::byte> blob, const BlockTilesHeader& h, std::int64_t panel,
                    std::uint32_t block, F f) {
  const std::uint64_t at = h.values + std::uint64_t{block} * block_tiles_block_bytes;
  const std::int64_t col0 = std::int64_t{element<std::uint32_t>(blob, h.column, block)} * block_tiles_side;
  for (int row = 0; row < block_tiles_side; ++row)
    for (int col = 0; col < block_tiles_side; ++col) {
      const auto bits =
          element<std::uint16_t>(blob, at, static_cast<std::uint64_t>(block_tiles_value_index(row, col)));
      if (bits != 0) f(panel * block_tiles_side + row, col0 + col, bits);
    }
}

std::string check_lists(std::span<const std::byte> blob, const BlockTilesHeader& h) {
  const auto panels = static_cast<std::uint64_t>(h.panels), blocks = static_cast<std::uint64_t>(h.blocks);
  const auto begin = [&](std::uint64_t panel) { return element<std::uint32_t>(blob, h.begin, panel); };
  if (begin(0) != 0 || begin(panels) != blocks) return "its panels do not hold its blocks";
  std::uint32_t longest = 0;
  for (std::uint64_t panel = 0; panel < panels; ++panel) {
    if (begin(panel + 1) < begin(panel) || begin(panel + 1) > blocks)
      return fmt::format("panel {} ends before it begins", panel);
    longest = std::max(longest, begin(panel + 1) - begin(panel));
    for (std::uint32_t b = begin(panel); b < begin(panel + 1); ++b) {
      const auto column = element<std::uint32_t>(blob, h.column, b);
      if (column >= static_cast<std::uint32_t>(h.k_blocks) ||
          (b > begin(panel) && column <= element<std::uint32_t>(blob, h.column, b - 1)))
        return fmt::format("block {} stands at block column {}", b, column);
    }
  }
  if (longest != static_cast<std::uint32_t>(h.longest))
    return fmt::format("its longest panel has {} blocks, not {}", longest, h.longest);
  std::vector<bool> seen(panels);
  for (std::uint64_t i = 0; i < panels; ++i) {
    const auto panel = element<std::uint32_t>(blob, h.order, i);
    if (panel >= panels || seen[panel])
      return fmt::format("its order of panels is no permutation: panel {}", panel);
    seen[panel] = true;
  }
  return {};
}

/// The steps of every pair are the columns of its two panels, merged.
std::string check_steps(std::span<const std::byte> blob, const BlockTilesHeader& h) {
  const auto panels = static_cast<std::uint64_t>(h.panels), pairs = static_cast<std::uint64_t>(h.pairs());
  std::uint64_t step = 0;
  for (std::uint64_t pair = 0; pair < pairs; ++pair) {
    if (element<std::uint32_t>(blob, h.first_step, pair) != step)
      return fmt::format("pair {} begins at step {}, not {}", pair,
                         element<std::uint32_t>(blob, h.first_step, pair), step);
    std::uint32_t at[2] = {}, end[2] = {};
    for (std::uint64_t i = 0; i < 2 && 2 * pair + i < panels; ++i) {
      const auto panel = element<std::uint32_t>(blob, h.order, 2 * pair + i);
      at[i] = element<std::uint32_t>(blob, h.begin, panel);
      end[i] = element<std::uint32_t>(blob, h.begin, std::uint64_t{panel} + 1);
    }
    for (; at[0] < end[0] || at[1] < end[1]; ++step) {
      constexpr std::uint32_t none = ~std::uint32_t{0};
      std::uint32_t column[2], kept = 0;
      for (int i = 0; i < 2; ++i)
        column[i] = at[i] < end[i] ? element<std::uint32_t>(blob, h.column, at[i]) : none;
      const std::uint32_t first = std::min(column[0], column[1]);
      for (int i = 0; i < 2; ++i)
        if (column[i] == first) {
          kept |= 1u << i;
          ++at[i];
        }
      if (step >= static_cast<std::uint64_t>(h.steps))
        return fmt::format("it has more than {} steps", h.steps);
      if (element<std::uint32_t>(blob, h.step, step) != 4 * first + kept)
        return fmt::format("step {} of pair {} is not block column {}", step, pair, first);
    }
  }
  if (step != static_cast<std::uint64_t>(h.steps) ||
      element<std::uint32_t>(blob, h.first_step, pairs) != step)
    return fmt::format("it has {} steps, not {}", step, h.steps);
  return {};
}

}  // namespace

std::string check_block_tiles(std::span<const std::byte> blob, std::int64_t, std::int64_t) {
  if (blob.size() < sizeof(BlockTilesHeader)) return "too few bytes for the header";
  const auto h = read_header<BlockTilesHeader>(blob);
  if (h.bytes != sizeof(BlockTilesHeader) || h.rows < 1 || h.cols < 1 || h.blocks < 0 || h.steps < 0)
    return "the header is damaged";
  constexpr std::int64_t side = block_tiles_side;
  if (h.panels != (std::int64_t{h.rows} + side - 1) / side ||
      h.k_blocks != (std::int64_t{h.cols} + side - 1) / side)
    return fmt::format("{} panels of {} K blocks do not cover {}x{}", h.panels, h.k_blocks, h.rows, h.cols);
  const auto panels = static_cast<std::uint64_t>(h.panels), blocks = static_cast<std::uint64_t>(h.blocks);
  for (const std::uint64_t offset : {h.order, h.begin, h.column, h.first_step, h.step, h.values})
    if (offset < sizeof(BlockTilesHeader)) return "an array overlaps the header";
  if (!array_fits(blob, h.order, panels, 4) || !array_fits(blob, h.begin, panels + 1, 4) ||
      !array_fits(blob, h.column, blocks, 4) ||
      !array_fits(blob, h.first_step, static_cast<std::uint64_t>(h.pairs()) + 1, 4) ||
      !array_fits(blob, h.step, static_cast<std::uint64_t>(h.steps), 4) ||
      !array_fits(blob, h.values, blocks, block_tiles_block_bytes))
    return "an array leaves the blob or is not aligned to 128 bytes";
  if (std::string error = check_lists(blob, h); !error.empty()) return error;
  if (std::string error = check_steps(blob, h); !error.empty()) return error;
  std::string error;
  for (std::int64_t panel = 0; panel < h.panels; ++panel)
    for (auto b = element<std::uint32_t>(blob, h.begin, static_cast<std::uint64_t>(panel));
         b < element<std::uint32_t>(blob, h.begin, static_cast<std::uint64_t>(panel) + 1); ++b) {
      const std::int64_t col0 = std::int64_t{element<std::uint32_t>(blob, h.column, b)} * side;
      if ((panel + 1) * side <= h.rows && col0 + side <= h.cols) continue;  // only the last ones have filling
      for_each_value(blob, h, panel, b, [&](std::int64_t row, std::int64_t col, std::uint16_t) {
        if (row >= h.rows || col >= h.cols)
          error = fmt::format("a weight at row {}, column {} lies outside {}x{}", row, col, h.rows, h.cols);
      });
    }
  return error;
}

void decode_block_tiles(std::span<const std::byte> blob, const Visitor& visit) {
  const auto h = read_header<BlockTilesHeader>(blob);
  for (std::int64_t panel = 0; panel < h.panels; ++panel)
    for (auto b = element<std::uint32_t>(blob, h.begin, static_cast<std::uint64_t>(panel));
         b < element<std::uint32_t>(blob, h.begin, static_cast<std::uint64_t>(panel) + 1); ++b)
      for_each_value(blob, h, panel, b, visit);
}

}  // namespace cross::formats::gpu
