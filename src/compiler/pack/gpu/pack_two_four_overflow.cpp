// Packs format two_four_overflow (src/plan/formats/gpu/two_four_overflow.h).
#include <algorithm>
#include <limits>

#include "compiler/pack/gpu/blob_writer.h"
#include "compiler/pack/gpu/formats.h"
#include "compiler/pack/gpu/lift_columns.h"
#include "compiler/pack/gpu/two_four_block.h"
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
  const auto pieces = [](std::int64_t of, std::int64_t size) {
    return static_cast<std::int32_t>((of + size - 1) / size);
  };
  TwoFourOverflowHeader header;
  header.format = static_cast<std::uint32_t>(Format::two_four_overflow);
  header.bytes = sizeof header;
  header.rows = static_cast<std::int32_t>(weight.rows);
  header.cols = static_cast<std::int32_t>(weight.cols);
  header.panels = pieces(weight.rows, two_four_rows);
  header.k_blocks = pieces(weight.cols, two_four_cols);
  header.tiles = pieces(weight.rows, lifted_tile_rows);
  return header;
}

void count(TwoFourOverflowHeader& header, const LiftedChunks& lifted) {
  const std::int64_t further = lifted.further_blocks();
  if (further > std::numeric_limits<std::int32_t>::max() ||
      lifted.column.size() > std::numeric_limits<std::int32_t>::max())
    throw InternalError("pack: two_four_overflow holds at most 2^31 further blocks");
  header.further = static_cast<std::int32_t>(further);
  header.chunks = static_cast<std::int32_t>(lifted.column.size());
}

/// A tile's further blocks, panel by panel.
void write_further(std::byte* to, const std::vector<LiftedChunks::Use>& uses) {
  for (std::size_t first = 0; first < uses.size(); first += 2)
    for (int panel = 0; panel < lifted_tile_panels; ++panel, to += two_four_block_bytes)
      write_two_four_block(to, [&](int row, int g) {
        constexpr int groups = lifted_chunk_cols / 4;
        const std::size_t use = first + static_cast<std::size_t>(g / groups);
        std::array<std::uint16_t, 4> four{};
        if (use < uses.size())
          std::copy_n(
              uses[use].bits.begin() + (panel * two_four_rows + row) * lifted_chunk_cols + g % groups * 4, 4,
              four.begin());
        return four;
      });
}

}  // namespace

double two_four_overflow_overhead(const MatrixView& weight, DType dtype, int threads) {
  TwoFourOverflowHeader header = header_of(weight);
  std::vector<std::vector<LiftedColumn>> lifted(static_cast<std::size_t>(header.tiles));
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
  const std::size_t panel_bytes = static_cast<std::size_t>(header.k_blocks) * two_four_block_bytes;
  header.blocks = writer.reserve<std::byte>(static_cast<std::size_t>(header.panels) * panel_bytes);
  std::byte* blocks = writer.at(header.blocks);

  std::vector<std::vector<LiftedColumn>> columns(static_cast<std::size_t>(header.tiles));
  std::int64_t sum = 0;
#pragma omp parallel for schedule(dynamic) reduction(+ : sum) num_threads(threads)
  for (std::int32_t tile = 0; tile < header.tiles; ++tile) {
    TileBits bits(weight, dtype, tile);
    sum += static_cast<std::int64_t>(bits.bits.size()) -
           std::count(bits.bits.begin(), bits.bits.end(), std::uint16_t{0});
    columns[static_cast<std::size_t>(tile)] = lift_columns(bits.bits, bits.stride);
    const std::int32_t first = tile * lifted_tile_panels;
    for (std::int32_t panel = first; panel < std::min(first + lifted_tile_panels, header.panels); ++panel)
      for (std::int32_t k = 0; k < header.k_blocks; ++k)
        write_two_four_block(blocks + static_cast<std::size_t>(panel) * panel_bytes +
                                 static_cast<std::size_t>(k) * two_four_block_bytes,
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
    for (std::size_t i = 0; i < uses.size(); i += 2) {
      chunk.push_back(uses[i].chunk);
      chunk.push_back(i + 1 < uses.size() ? uses[i + 1].chunk : uses[i].chunk);
    }
    begin.push_back(static_cast<std::uint32_t>(chunk.size() / 2));
  }
  header.column = writer.append(column);
  header.begin = writer.append(begin);
  header.chunk = writer.append(chunk);
  header.further_blocks = writer.reserve<std::byte>(begin.back() * std::size_t{lifted_block_bytes});
#pragma omp parallel for schedule(dynamic) num_threads(threads)
  for (std::size_t tile = 0; tile < lifted.tiles.size(); ++tile)
    write_further(writer.at(header.further_blocks) + begin[tile] * std::size_t{lifted_block_bytes},
                  lifted.tiles[tile]);
  return writer.finish(header);
}

}  // namespace cross::compiler
