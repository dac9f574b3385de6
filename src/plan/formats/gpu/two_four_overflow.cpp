#include "plan/formats/gpu/two_four_overflow.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "plan/formats/gpu/two_four_tiles.h"

namespace cross::formats::gpu {
namespace {

struct Lifted {
  std::span<const std::byte> blob;
  const TwoFourOverflowHeader& h;

  std::uint32_t begin(std::int64_t row_tile) const {
    return element<std::uint32_t>(blob, h.begin, static_cast<std::uint64_t>(row_tile));
  }
  std::uint32_t chunk(std::uint32_t pair) const { return element<std::uint32_t>(blob, h.chunk, pair); }
  /// Of W, at a column of a further pair of tiles.
  std::uint32_t column(std::uint32_t pair, std::int64_t place) const {
    return element<std::uint32_t>(
        blob, h.column, std::uint64_t{chunk(pair)} * lifted_chunk_cols + static_cast<std::uint64_t>(place));
  }
  /// Further tiles as a matrix of their own: one tile a panel.
  TwoFourTiles tiles() const {
    return {blob, std::int64_t{h.further} * lifted_tile_panels, 1, h.further_tiles};
  }
  /// Calls f(row, column of W, bits) for every nonzero value of a row tile's further tiles.
  template <class F>
  void for_each_value(std::int64_t row_tile, F f) const {
    for (std::uint32_t pair = begin(row_tile); pair < begin(row_tile + 1); ++pair)
      for (std::int64_t panel = 0; panel < lifted_tile_panels; ++panel) {
        const std::int64_t at = std::int64_t{pair} * lifted_tile_panels + panel;
        tiles().for_each_value(at, 0, [&](std::int64_t row, std::int64_t place, std::uint16_t bits) {
          f(row_tile * lifted_tile_rows + panel * two_four_rows + row - at * two_four_rows,
            column(pair, place), bits);
        });
      }
  }
};

/// Weights of a row tile's further tiles: inside the matrix, each once, and not in its own tiles as well.
std::string check_weights(const Lifted& lifted, std::int64_t row_tile) {
  const TwoFourOverflowHeader& h = lifted.h;
  const TwoFourTiles tiles{lifted.blob, h.panels, h.k_tiles, h.tiles};
  std::vector<std::pair<std::int64_t, std::uint32_t>> places;
  std::string error;
  const auto twice = [&](std::int64_t row, std::uint32_t column) {
    error = fmt::format("the weight at row {}, column {} is there twice", row, column);
  };
  lifted.for_each_value(row_tile, [&](std::int64_t row, std::uint32_t column, std::uint16_t) {
    if (row >= h.rows) {
      error = fmt::format("a lifted weight at row {} lies outside {}x{}", row, h.rows, h.cols);
      return;
    }
    places.emplace_back(row, column);
    tiles.for_each_slot(row / two_four_rows, column / two_four_cols, static_cast<int>(row % two_four_rows),
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
  if (h.panels != two_four_panels(h.rows) || h.k_tiles != two_four_k_tiles(h.cols) ||
      h.row_tiles != two_four_row_tiles(h.rows))
    return fmt::format("{} panels of {} tiles in {} row tiles do not cover {}x{}", h.panels, h.k_tiles,
                       h.row_tiles, h.rows, h.cols);
  for (const std::uint64_t offset : {h.tiles, h.column, h.begin, h.chunk, h.further_tiles})
    if (offset < sizeof(TwoFourOverflowHeader)) return "an array overlaps the header";
  const auto row_tiles = static_cast<std::uint64_t>(h.row_tiles),
             chunks = static_cast<std::uint64_t>(h.chunks), further = static_cast<std::uint64_t>(h.further);
  if (!array_fits(blob, h.column, chunks, 4 * lifted_chunk_cols) ||
      !array_fits(blob, h.begin, row_tiles + 1, 4) || !array_fits(blob, h.chunk, further, 4) ||
      !array_fits(blob, h.further_tiles, further, lifted_pair_bytes))
    return "an array leaves the blob or is not aligned to 128 bytes";
  if (std::string error = TwoFourTiles{blob, h.panels, h.k_tiles, h.tiles}.check(h.rows, h.cols);
      !error.empty())
    return error;
  for (std::uint64_t i = 0; i < chunks * lifted_chunk_cols; ++i)
    if (const auto column = element<std::uint32_t>(blob, h.column, i);
        column >= static_cast<std::uint32_t>(h.cols))
      return fmt::format("chunk {} gathers column {} of {}", i / lifted_chunk_cols, column, h.cols);
  for (std::uint64_t i = 0; i < further; ++i)
    if (const auto chunk = element<std::uint32_t>(blob, h.chunk, i); chunk >= chunks)
      return fmt::format("further pair {} multiplies chunk {} of {}", i, chunk, chunks);
  const Lifted lifted{blob, h};
  if (std::string error = lifted.tiles().check(std::int64_t{h.further} * lifted_tile_rows, two_four_cols);
      !error.empty())
    return "further tiles: " + error;
  if (lifted.begin(0) != 0 || lifted.begin(h.row_tiles) != further)
    return "its row tiles do not hold its further tiles";
  for (std::int64_t row_tile = 0; row_tile < h.row_tiles; ++row_tile) {
    if (lifted.begin(row_tile + 1) < lifted.begin(row_tile) || lifted.begin(row_tile + 1) > further)
      return fmt::format("row tile {} ends before it begins", row_tile);
    if (std::string error = check_weights(lifted, row_tile); !error.empty()) return error;
  }
  return {};
}

void decode_two_four_overflow(std::span<const std::byte> blob, const Visitor& visit) {
  const auto h = read_header<TwoFourOverflowHeader>(blob);
  TwoFourTiles{blob, h.panels, h.k_tiles, h.tiles}.for_each_value(visit);
  for (std::int64_t row_tile = 0; row_tile < h.row_tiles; ++row_tile)
    Lifted{blob, h}.for_each_value(row_tile, visit);
}

}  // namespace cross::formats::gpu
