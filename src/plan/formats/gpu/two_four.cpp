#include "plan/formats/gpu/two_four.h"

#include <fmt/format.h>

#include <algorithm>

#include "plan/formats/gpu/two_four_tiles.h"

namespace cross::formats::gpu {

std::string TwoFourTiles::check(std::int64_t rows, std::int64_t cols) const {
  const auto count = static_cast<std::uint64_t>(panels) * static_cast<std::uint64_t>(k_tiles);
  if (!array_fits(blob, offset, count, two_four_tile_bytes))
    return "the tiles leave the blob or are not aligned to 128 bytes";
  constexpr std::uint64_t words = (two_four_tile_bytes - two_four_metadata_at) / 4;
  for (std::uint64_t tile = 0; tile < count; ++tile)
    for (std::uint64_t i = 0; i < words; ++i)
      if (!names_ascend(
              element<std::uint32_t>(blob, offset + tile * two_four_tile_bytes + two_four_metadata_at, i)))
        return fmt::format("tile {}: metadata word {} names columns that do not ascend", tile, i);
  // Only the last panel and the last two tiles of a panel have filling.
  std::string error;
  for (std::int64_t panel = 0; panel < panels && error.empty(); ++panel) {
    const std::int64_t first =
        (panel + 1) * two_four_rows > rows ? 0 : std::max<std::int64_t>(k_tiles - 2, 0);
    for (std::int64_t k_tile = first; k_tile < k_tiles; ++k_tile)
      for_each_value(panel, k_tile, [&](std::int64_t row, std::int64_t col, std::uint16_t) {
        if (row >= rows || col >= cols)
          error = fmt::format("a weight at row {}, column {} lies outside {}x{}", row, col, rows, cols);
      });
  }
  return error;
}

std::string check_two_four(std::span<const std::byte> blob, std::int64_t, std::int64_t) {
  if (blob.size() < sizeof(TwoFourHeader)) return "too few bytes for the header";
  const auto h = read_header<TwoFourHeader>(blob);
  if (h.bytes != sizeof(TwoFourHeader) || h.rows < 1 || h.cols < 1) return "the header is damaged";
  if (h.panels != two_four_panels(h.rows) || h.k_tiles != two_four_k_tiles(h.cols))
    return fmt::format("{} panels of {} tiles do not cover {}x{}", h.panels, h.k_tiles, h.rows, h.cols);
  if (h.tiles < sizeof(TwoFourHeader)) return "the tiles leave the blob or are not aligned to 128 bytes";
  return TwoFourTiles{blob, h.panels, h.k_tiles, h.tiles}.check(h.rows, h.cols);
}

void decode_two_four(std::span<const std::byte> blob, const Visitor& visit) {
  const auto h = read_header<TwoFourHeader>(blob);
  TwoFourTiles{blob, h.panels, h.k_tiles, h.tiles}.for_each_value(visit);
}

}  // namespace cross::formats::gpu
