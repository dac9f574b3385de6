#include "plan/formats/gpu/two_four_overflow.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "plan/formats/gpu/two_four_blocks.h"

namespace cross::formats::gpu {
namespace {

struct Lifted {
  std::span<const std::byte> blob;
  const TwoFourOverflowHeader& h;

  std::uint32_t begin(std::int64_t tile) const {
    return element<std::uint32_t>(blob, h.begin, static_cast<std::uint64_t>(tile));
  }
  std::uint32_t chunk(std::uint32_t block, int half) const {
    return element<std::uint32_t>(blob, h.chunk, 2 * std::uint64_t{block} + static_cast<std::uint64_t>(half));
  }
  /// Of W, at a column of a further block.
  std::uint32_t column(std::uint32_t block, std::int64_t place) const {
    const std::uint64_t chunk_of = chunk(block, static_cast<int>(place / lifted_chunk_cols));
    return element<std::uint32_t>(
        blob, h.column, chunk_of * lifted_chunk_cols + static_cast<std::uint64_t>(place % lifted_chunk_cols));
  }
  /// Further blocks as a matrix of their own: one block a panel.
  TwoFourBlocks blocks() const {
    return {blob, std::int64_t{h.further} * lifted_tile_panels, 1, h.further_blocks};
  }
  /// Calls f(row, column of W, bits) for every nonzero value of a tile's further blocks.
  template <class F>
  void for_each_value(std::int64_t tile, F f) const {
    for (std::uint32_t block = begin(tile); block < begin(tile + 1); ++block)
      for (std::int64_t panel = 0; panel < lifted_tile_panels; ++panel) {
        const std::int64_t at = std::int64_t{block} * lifted_tile_panels + panel;
        blocks().for_each_value(at, 0, [&](std::int64_t row, std::int64_t place, std::uint16_t bits) {
          f(tile * lifted_tile_rows + panel * two_four_rows + row - at * two_four_rows, column(block, place),
            bits);
        });
      }
  }
};

/// Weights of a tile's further blocks: inside the matrix, each once, and not in its own blocks as well.
std::string check_weights(const Lifted& lifted, std::int64_t tile) {
  const TwoFourOverflowHeader& h = lifted.h;
  const TwoFourBlocks blocks{lifted.blob, h.panels, h.k_blocks, h.blocks};
  std::vector<std::pair<std::int64_t, std::uint32_t>> places;
  std::string error;
  const auto twice = [&](std::int64_t row, std::uint32_t column) {
    error = fmt::format("the weight at row {}, column {} is there twice", row, column);
  };
  lifted.for_each_value(tile, [&](std::int64_t row, std::uint32_t column, std::uint16_t) {
    if (row >= h.rows) {
      error = fmt::format("a lifted weight at row {} lies outside {}x{}", row, h.rows, h.cols);
      return;
    }
    places.emplace_back(row, column);
    blocks.for_each_slot(row / two_four_rows, column / two_four_cols, static_cast<int>(row % two_four_rows),
                         static_cast<int>(column % two_four_cols / 4), [&](int in_group, std::uint16_t bits) {
                           if (bits != 0 && in_group == static_cast<int>(column % 4)) twice(row, column);
                         });
  });
  std::sort(places.begin(), places.end());
  if (const auto same = std::adjacent_find(places.begin(), places.end()); same != places.end())
    twice(same->first, same->second);
  return error;
}

}  // namespace

std::string check_two_four_overflow(std::span<const std::byte> blob, std::int64_t, std::int64_t) {
  if (blob.size() < sizeof(TwoFourOverflowHeader)) return "too few bytes for the header";
  const auto h = read_header<TwoFourOverflowHeader>(blob);
  if (h.bytes != sizeof(TwoFourOverflowHeader) || h.rows < 1 || h.cols < 1 || h.chunks < 0 || h.further < 0)
    return "the header is damaged";
  const auto pieces = [](std::int64_t of, std::int64_t size) { return (of + size - 1) / size; };
  if (h.panels != pieces(h.rows, two_four_rows) || h.k_blocks != pieces(h.cols, two_four_cols) ||
      h.tiles != pieces(h.rows, lifted_tile_rows))
    return fmt::format("{} panels of {} K blocks in {} tiles do not cover {}x{}", h.panels, h.k_blocks,
                       h.tiles, h.rows, h.cols);
  for (const std::uint64_t offset : {h.blocks, h.column, h.begin, h.chunk, h.further_blocks})
    if (offset < sizeof(TwoFourOverflowHeader)) return "an array overlaps the header";
  const auto tiles = static_cast<std::uint64_t>(h.tiles), chunks = static_cast<std::uint64_t>(h.chunks),
             further = static_cast<std::uint64_t>(h.further);
  if (!array_fits(blob, h.column, chunks, 4 * lifted_chunk_cols) ||
      !array_fits(blob, h.begin, tiles + 1, 4) || !array_fits(blob, h.chunk, further, 8) ||
      !array_fits(blob, h.further_blocks, further, lifted_block_bytes))
    return "an array leaves the blob or is not aligned to 128 bytes";
  if (std::string error = TwoFourBlocks{blob, h.panels, h.k_blocks, h.blocks}.check(h.rows, h.cols);
      !error.empty())
    return error;
  for (std::uint64_t i = 0; i < chunks * lifted_chunk_cols; ++i)
    if (const auto column = element<std::uint32_t>(blob, h.column, i);
        column >= static_cast<std::uint32_t>(h.cols))
      return fmt::format("chunk {} gathers column {} of {}", i / lifted_chunk_cols, column, h.cols);
  for (std::uint64_t i = 0; i < 2 * further; ++i)
    if (const auto chunk = element<std::uint32_t>(blob, h.chunk, i); chunk >= chunks)
      return fmt::format("further block {} multiplies chunk {} of {}", i / 2, chunk, chunks);
  const Lifted lifted{blob, h};
  if (std::string error = lifted.blocks().check(std::int64_t{h.further} * lifted_tile_rows, two_four_cols);
      !error.empty())
    return "further blocks: " + error;
  if (lifted.begin(0) != 0 || lifted.begin(h.tiles) != further)
    return "its tiles do not hold its further blocks";
  for (std::int64_t tile = 0; tile < h.tiles; ++tile) {
    if (lifted.begin(tile + 1) < lifted.begin(tile) || lifted.begin(tile + 1) > further)
      return fmt::format("tile {} ends before it begins", tile);
    if (std::string error = check_weights(lifted, tile); !error.empty()) return error;
  }
  return {};
}

void decode_two_four_overflow(std::span<const std::byte> blob, const Visitor& visit) {
  const auto h = read_header<TwoFourOverflowHeader>(blob);
  TwoFourBlocks{blob, h.panels, h.k_blocks, h.blocks}.for_each_value(visit);
  for (std::int64_t tile = 0; tile < h.tiles; ++tile) Lifted{blob, h}.for_each_value(tile, visit);
}

}  // namespace cross::formats::gpu
