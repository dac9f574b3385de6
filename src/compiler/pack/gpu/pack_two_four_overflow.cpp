// Packs format two_four_overflow (src/plan/formats/gpu/two_four_overflow.h).
#include <algorithm>
#include <limits>

#include "compiler/pack/gpu/blob_writer.h"
#include "compiler/pack/gpu/formats.h"
#include "compiler/pack/gpu/lift_columns.h"
#include "compiler/pack/gpu/two_four_tile.h"
#include "cross/error.h"

namespace cross::compiler {
namespace {

using namespace formats::gpu;

/// The weights of a tile, [128][stride] with zeros past the matrix.
struct TileBits {
  std::int64_t stride;
  std::vector<std::uint16_t> bits;
  TileBits(const MatrixView& weight, DType dtype, std::int64_t tile)
      : stride((weight.cols + 3) / 4 * 4), bits(static_cast<std::size_t>(lifted_tile_rows * stride)) {
    const std::int64_t row0 = tile * lifted_tile_rows;
    for (std::int64_t r = 0; r < std::min<std::int64_t>(lifted_tile_rows, weight.rows - row0); ++r)
      for (std::int64_t c = 0; c < weight.cols; ++c)
        bits[static_cast<std::size_t>(r * stride + c)] = half_bits(weight, dtype, row0 + r, c);
  }
  std::array<std::uint16_t, 4> group(std::int64_t row, std::int64_t col) const {
    std::array<std::uint16_t, 4> four{};
    if (col < stride)
      std::copy_n(bits.begin() + static_cast<std::ptrdiff_t>(row * stride + col), 4, four.begin());
    return four;
  }
};

TwoFourOverflowHeader header_of(const MatrixView& weight) {
  auto header = begin_header<TwoFourOverflowHeader>(Format::two_four_overflow, weight);
  header.panels = static_cast<std::int32_t>(two_four_panels(weight.rows));
  header.k_tiles = static_cast<std::int32_t>(two_four_k_tiles(weight.cols));
  header.row_tiles = static_cast<std::int32_t>(two_four_row_tiles(weight.rows));
  return header;
}

void count(TwoFourOverflowHeader& header, const LiftedChunks& lifted) {
  const std::int64_t further = lifted.further();
  if (further > std::numeric_limits<std::int32_t>::max() ||
      lifted.column.size() > std::numeric_limits<std::int32_t>::max())
    throw InternalError("pack: two_four_overflow holds at most 2^31 further tiles");
  header.further = static_cast<std::int32_t>(further);
  header.chunks = static_cast<std::int32_t>(lifted.column.size());
}

/// A row tile's further tiles, panel by panel.
void write_further(std::byte* to, const std::vector<LiftedChunks::Use>& uses) {
  for (const LiftedChunks::Use& use : uses)
    for (int panel = 0; panel < lifted_tile_panels; ++panel, to += two_four_tile_bytes)
      write_two_four_tile(to, [&](int row, int g) {
        std::array<std::uint16_t, 4> four{};
        std::copy_n(use.bits.begin() + (panel * two_four_rows + row) * lifted_chunk_cols + g * 4, 4,
                    four.begin());
        return four;
      });
}

}  // namespace

double two_four_overflow_overhead(const MatrixView& weight, DType dtype, int threads) {
  TwoFourOverflowHeader header = header_of(weight);
  std::vector<std::vector<LiftedColumn>> lifted(static_cast<std::size_t>(header.row_tiles));
#pragma omp parallel for schedule(dynamic) num_threads(threads)
  for (std::size_t tile = 0; tile < lifted.size(); ++tile) {
    TileBits bits(weight, dtype, static_cast<std::int64_t>(tile));
    lifted[tile] = lift_columns(bits.bits, bits.stride);
  }
  count(header, place_columns(lifted));
  return header.overhead();
}

std::vector<std::byte> pack_two_four_overflow(const MatrixView& weight, DType dtype, int threads,
                                              std::int64_t& kept) {
  TwoFourOverflowHeader header = header_of(weight);
  BlobWriter writer(sizeof header);
  const std::size_t panel_bytes = static_cast<std::size_t>(header.k_tiles) * two_four_tile_bytes;
  header.tiles = writer.reserve<std::byte>(static_cast<std::size_t>(header.panels) * panel_bytes);
  std::byte* tiles = writer.at(header.tiles);

  std::vector<std::vector<LiftedColumn>> columns(static_cast<std::size_t>(header.row_tiles));
  std::int64_t sum = 0;
#pragma omp parallel for schedule(dynamic) reduction(+ : sum) num_threads(threads)
  for (std::int32_t tile = 0; tile < header.row_tiles; ++tile) {
    TileBits bits(weight, dtype, tile);
    sum += static_cast<std::int64_t>(bits.bits.size()) -
           std::count(bits.bits.begin(), bits.bits.end(), std::uint16_t{0});
    columns[static_cast<std::size_t>(tile)] = lift_columns(bits.bits, bits.stride);
    const std::int32_t first = tile * lifted_tile_panels;
    for (std::int32_t panel = first; panel < std::min(first + lifted_tile_panels, header.panels); ++panel)
      for (std::int32_t k = 0; k < header.k_tiles; ++k)
        write_two_four_tile(tiles + static_cast<std::size_t>(panel) * panel_bytes +
                                static_cast<std::size_t>(k) * two_four_tile_bytes,
                            [&](int row, int g) {
                              return bits.group((panel - first) * two_four_rows + row,
                                                std::int64_t{k} * two_four_cols + 4 * g);
                            });
  }
  kept = sum;

  const LiftedChunks lifted = place_columns(columns);
  count(header, lifted);
  std::vector<std::uint32_t> column, begin{0}, chunk;
  for (const auto& one : lifted.column) column.insert(column.end(), one.begin(), one.end());
  for (const auto& uses : lifted.tiles) {
    for (const LiftedChunks::Use& use : uses) chunk.push_back(use.chunk);
    begin.push_back(static_cast<std::uint32_t>(chunk.size()));
  }
  header.column = writer.append(column);
  header.begin = writer.append(begin);
  header.chunk = writer.append(chunk);
  header.further_tiles = writer.reserve<std::byte>(begin.back() * std::size_t{lifted_pair_bytes});
#pragma omp parallel for schedule(dynamic) num_threads(threads)
  for (std::size_t tile = 0; tile < lifted.tiles.size(); ++tile)
    write_further(writer.at(header.further_tiles) + begin[tile] * std::size_t{lifted_pair_bytes},
                  lifted.tiles[tile]);
  return writer.finish(header);
}

}  // namespace cross::compiler
