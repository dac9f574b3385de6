// Packs format two_four (src/plan/formats/gpu/two_four.h).
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "compiler/pack/gpu/blob_writer.h"
#include "compiler/pack/gpu/formats.h"
#include "compiler/pack/gpu/two_four_tile.h"
#include "cross/error.h"
#include "plan/formats/gpu/two_four.h"

namespace cross::compiler {
using namespace formats::gpu;

std::string two_four_refuses(const MatrixView& weight, DType dtype) {
  // Most matrices break the pattern in their first row.
  for (std::int64_t row = 0; row < weight.rows; ++row)
    for (std::int64_t col = 0; col < weight.cols; col += 4)
      if (const int kept = choose_slots(group_bits(weight, dtype, row, col)).kept; kept > 2)
        return fmt::format("row {} keeps {} of columns {} to {}; 2:4 allows 2", row, kept, col,
                           std::min(col + 3, weight.cols - 1));
  return {};
}

std::vector<std::byte> pack_two_four(const MatrixView& weight, DType dtype, int threads, std::int64_t& kept) {
  auto header = begin_header<TwoFourHeader>(Format::two_four, weight);
  header.panels = static_cast<std::int32_t>(two_four_panels(weight.rows));
  header.k_tiles = static_cast<std::int32_t>(two_four_k_tiles(weight.cols));
  BlobWriter writer(sizeof header);
  const std::size_t panel_bytes = static_cast<std::size_t>(header.k_tiles) * two_four_tile_bytes;
  header.tiles = writer.reserve<std::byte>(static_cast<std::size_t>(header.panels) * panel_bytes);
  std::byte* tiles = writer.at(header.tiles);

  std::int64_t sum = 0;
#pragma omp parallel for schedule(static) reduction(+ : sum) num_threads(threads)
  for (std::int32_t panel = 0; panel < header.panels; ++panel)
    for (std::int32_t k_tile = 0; k_tile < header.k_tiles; ++k_tile) {
      std::byte* tile = tiles + static_cast<std::size_t>(panel) * panel_bytes +
                        static_cast<std::size_t>(k_tile) * two_four_tile_bytes;
      sum += write_two_four_tile(tile, [&](int r, int g) {
        const std::int64_t row = std::int64_t{panel} * two_four_rows + r;
        const std::int64_t col = std::int64_t{k_tile} * two_four_cols + 4 * g;
        return row < weight.rows && col < weight.cols ? group_bits(weight, dtype, row, col)
                                                      : std::array<std::uint16_t, 4>{};
      });
    }
  kept = sum;
  return writer.finish(header);
}

}  // namespace cross::compiler
