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

  std::int64_t begin(std::int64_t row_pair) const {
    return element<std::uint32_t>(blob, h.begin, static_cast<std::uint64_t>(row_pair));
  }
  /// Of W, at a place of a further stage.
  std::uint32_t column(std::int64_t stage, std::int64_t place) const {
    return element<std::uint32_t>(blob, h.column, static_cast<std::uint64_t>(stage * two_four_cols + place));
  }
  /// Further stages as a matrix of their own: one every two panels.
  TwoFourTiles tiles() const {
    return {blob, 2 * lifted_tile_panels * std::int64_t{h.further}, 1, h.further_tiles};
  }
  /// Calls f(row, column of W, bits) for every nonzero value of a row pair's further tiles.
  template <class F>
  void for_each_value(std::int64_t row_pair, F f) const {
    const std::int64_t from = begin(row_pair), to = begin(row_pair + 1);
    for (std::int64_t stage = 2 * from; stage < 2 * to; ++stage) {
      const std::int64_t tile0 = stage * lifted_tile_panels,
                         row0 = row_pair * lifted_pair_rows + (stage < from + to ? 0 : lifted_tile_rows) -
                                tile0 * two_four_rows;
      for (std::int64_t tile = tile0; tile < tile0 + lifted_tile_panels; ++tile)
        tiles().for_each_value(tile, 0, [&](std::int64_t row, std::int64_t place, std::uint16_t bits) {
          f(row0 + row, column(stage, place), bits);
        });
    }
  }
};

/// Weights of a row pair's further tiles: inside the matrix, each once, and not in its own tiles as well.
std::string check_weights(const Lifted& lifted, std::int64_t row_pair) {
  const TwoFourOverflowHeader& h = lifted.h;
  const TwoFourTiles tiles{lifted.blob, h.panels, h.k_tiles, h.tiles};
  std::vector<std::pair<std::int64_t, std::uint32_t>> places;
  std::string error;
  const auto twice = [&](std::int64_t row, std::uint32_t column) {
    error = fmt::format("the weight at row {}, column {} is there twice", row, column);
  };
  lifted.for_each_value(row_pair, [&](std::int64_t row, std::uint32_t column, std::uint16_t) {
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
  if (h.bytes != sizeof(TwoFourOverflowHeader) || h.rows < 1 || h.cols < 1 || h.further < 0)
    return "the header is damaged";
  if (h.panels != two_four_panels(h.rows) || h.k_tiles != two_four_k_tiles(h.cols) ||
      h.row_pairs != two_four_row_pairs(h.rows))
    return fmt::format("{} panels of {} tiles in {} row pairs do not cover {}x{}", h.panels, h.k_tiles,
                       h.row_pairs, h.rows, h.cols);
  for (const std::uint64_t offset : {h.tiles, h.begin, h.column, h.lifted, h.further_tiles})
    if (offset < sizeof(TwoFourOverflowHeader)) return "an array overlaps the header";
  const auto row_pairs = static_cast<std::uint64_t>(h.row_pairs),
             stages = 2 * static_cast<std::uint64_t>(h.further);
  if (!array_fits(blob, h.begin, row_pairs + 1, 4) ||
      !array_fits(blob, h.column, stages, 4 * two_four_cols) ||
      !array_fits(blob, h.lifted, static_cast<std::uint64_t>(lifted_words(h.cols)), 4) ||
      !array_fits(blob, h.further_tiles, stages, further_stage_bytes))
    return "an array leaves the blob or is not aligned to 128 bytes";
  if (std::string error = TwoFourTiles{blob, h.panels, h.k_tiles, h.tiles}.check(h.rows, h.cols);
      !error.empty())
    return error;
  for (std::uint64_t i = 0; i < stages * two_four_cols; ++i) {
    const auto column = element<std::uint32_t>(blob, h.column, i);
    if (column >= static_cast<std::uint32_t>(h.cols))
      return fmt::format("further stage {} multiplies column {} of {}", i / two_four_cols, column, h.cols);
    if ((element<std::uint32_t>(blob, h.lifted, column / 32) >> (column % 32) & 1u) == 0)
      return fmt::format("column {} of further stage {} is not marked as lifted", column, i / two_four_cols);
  }
  const Lifted lifted{blob, h};
  if (std::string error = lifted.tiles().check(2 * std::int64_t{h.further} * lifted_tile_rows, two_four_cols);
      !error.empty())
    return "further tiles: " + error;
  if (lifted.begin(0) != 0 || lifted.begin(h.row_pairs) != h.further)
    return "its row pairs do not hold its further stages";
  for (std::int64_t row_pair = 0; row_pair < h.row_pairs; ++row_pair) {
    const std::int64_t from = lifted.begin(row_pair), to = lifted.begin(row_pair + 1);
    if (to < from || to > h.further) return fmt::format("row pair {} ends before it begins", row_pair);
    if (std::string error = check_weights(lifted, row_pair); !error.empty()) return error;
  }
  return {};
}

void decode_two_four_overflow(std::span<const std::byte> blob, const Visitor& visit) {
  const auto h = read_header<TwoFourOverflowHeader>(blob);
  TwoFourTiles{blob, h.panels, h.k_tiles, h.tiles}.for_each_value(visit);
  for (std::int64_t row_pair = 0; row_pair < h.row_pairs; ++row_pair)
    Lifted{blob, h}.for_each_value(row_pair, visit);
}

}  // namespace cross::formats::gpu
