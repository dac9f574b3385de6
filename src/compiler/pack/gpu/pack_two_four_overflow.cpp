// Packs format two_four_overflow (src/plan/formats/gpu/two_four_overflow.h).
#include <algorithm>
#include <array>
#include <limits>

#include "compiler/pack/gpu/blob_writer.h"
#include "compiler/pack/gpu/formats.h"
#include "compiler/pack/gpu/lift_columns.h"
#include "compiler/pack/gpu/two_four_tile.h"
#include "cross/error.h"

namespace cross::compiler {
namespace {

using namespace formats::gpu;

/// The weights of a row tile, [128][stride] with zeros past the matrix.
struct RowTileBits {
  std::int64_t stride;
  std::vector<std::uint16_t> bits;
  RowTileBits(const MatrixView& weight, DType dtype, std::int64_t row_tile)
      : stride((weight.cols + 3) / 4 * 4), bits(static_cast<std::size_t>(lifted_tile_rows * stride)) {
    const std::int64_t row0 = row_tile * lifted_tile_rows;
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
  header.row_pairs = static_cast<std::int32_t>(two_four_row_pairs(weight.rows));
  return header;
}

std::size_t row_tiles_of(const TwoFourOverflowHeader& header) {
  return (static_cast<std::size_t>(header.panels) + lifted_tile_panels - 1) / lifted_tile_panels;
}

/// Where every row pair's further stages begin, and the last ones end: as many as its longer row tile needs.
std::vector<std::uint32_t> begin_pairs(const std::vector<std::size_t>& further_of_row_tile,
                                       TwoFourOverflowHeader& header) {
  std::vector<std::uint32_t> begin{0};
  std::uint64_t end = 0;
  for (std::int32_t pair = 0; pair < header.row_pairs; ++pair) {
    const std::ptrdiff_t first = std::ptrdiff_t{pair} * 2,
                         last = std::min(first + 2, std::ssize(further_of_row_tile));
    end += *std::max_element(further_of_row_tile.begin() + first, further_of_row_tile.begin() + last);
    if (end > std::numeric_limits<std::int32_t>::max() / 4)
      throw InternalError("pack: two_four_overflow holds at most 2^31 further tiles");
    begin.push_back(static_cast<std::uint32_t>(end));
  }
  header.further = static_cast<std::int32_t>(end);
  return begin;
}

/// A further stage, a tile for each panel.
void write_further(std::byte* tile, const LiftedPlaces& stage) {
  for (int row0 = 0; row0 < lifted_tile_rows; row0 += two_four_rows, tile += two_four_tile_bytes)
    write_two_four_tile(tile, [&](int row, int g) {
      std::array<std::uint16_t, 4> four{};
      std::copy_n(stage.bits.begin() + (row0 + row) * two_four_cols + g * 4, 4, four.begin());
      return four;
    });
}

}  // namespace

double two_four_overflow_overhead(const MatrixView& weight, DType dtype, int threads) {
  TwoFourOverflowHeader header = header_of(weight);
  std::vector<std::size_t> further(row_tiles_of(header));
#pragma omp parallel for schedule(dynamic) num_threads(threads)
  for (std::size_t i = 0; i < further.size(); ++i) {
    RowTileBits bits(weight, dtype, static_cast<std::int64_t>(i));
    further[i] = place_columns(lift_columns(bits.bits, bits.stride)).size();
  }
  begin_pairs(further, header);
  return header.overhead();
}

std::vector<std::byte> pack_two_four_overflow(const MatrixView& weight, DType dtype, int threads,
                                              std::int64_t& kept) {
  TwoFourOverflowHeader header = header_of(weight);
  BlobWriter writer(sizeof header);
  const std::size_t panel_bytes = static_cast<std::size_t>(header.k_tiles) * two_four_tile_bytes;
  header.tiles = writer.reserve<std::byte>(static_cast<std::size_t>(header.panels) * panel_bytes);
  std::byte* tiles = writer.at(header.tiles);

  std::vector<std::vector<LiftedPlaces>> lifted(row_tiles_of(header));
  std::vector<std::size_t> further(lifted.size());
  std::int64_t sum = 0;
#pragma omp parallel for schedule(dynamic) reduction(+ : sum) num_threads(threads)
  for (std::size_t i = 0; i < lifted.size(); ++i) {
    RowTileBits bits(weight, dtype, static_cast<std::int64_t>(i));
    sum += std::ssize(bits.bits) - std::count(bits.bits.begin(), bits.bits.end(), std::uint16_t{0});
    lifted[i] = place_columns(lift_columns(bits.bits, bits.stride));
    further[i] = lifted[i].size();
    const std::size_t panel0 = i * lifted_tile_panels;
    for (std::size_t p = 0; p < lifted_tile_panels && panel0 + p < static_cast<std::size_t>(header.panels);
         ++p)
      for (std::int32_t k = 0; k < header.k_tiles; ++k)
        write_two_four_tile(
            tiles + (panel0 + p) * panel_bytes + static_cast<std::size_t>(k) * two_four_tile_bytes,
            [&](int row, int g) {
              return bits.group(static_cast<std::int64_t>(p) * two_four_rows + row,
                                std::int64_t{k} * two_four_cols + 4 * g);
            });
  }
  kept = sum;

  const std::vector<std::uint32_t> begin = begin_pairs(further, header);
  std::vector<std::uint32_t> column(2 * begin.back() * std::size_t{two_four_cols});
  header.begin = writer.append(begin);
  header.further_tiles = writer.reserve<std::byte>(2 * begin.back() * std::size_t{further_stage_bytes});
  std::byte* further_tiles = writer.at(header.further_tiles);
  const LiftedPlaces none{{}, std::vector<std::uint16_t>(std::size_t{lifted_tile_rows} * two_four_cols)};
#pragma omp parallel for schedule(dynamic) num_threads(threads)
  for (std::int32_t row_tile = 0; row_tile < 2 * header.row_pairs; ++row_tile) {
    const auto tile = static_cast<std::size_t>(row_tile);
    const std::int64_t from = begin[tile / 2], to = begin[tile / 2 + 1];
    for (std::int64_t i = 0; i < to - from; ++i) {
      const auto n = static_cast<std::size_t>(i);
      const LiftedPlaces& stage = tile < lifted.size() && n < lifted[tile].size() ? lifted[tile][n] : none;
      const auto at = static_cast<std::size_t>(first_further_stage(row_tile, from, to) + i);
      std::copy(stage.column.begin(), stage.column.end(),
                column.begin() + static_cast<std::ptrdiff_t>(at * two_four_cols));
      write_further(further_tiles + at * further_stage_bytes, stage);
    }
  }
  header.column = writer.append(column);
  std::vector<std::uint32_t> marked(static_cast<std::size_t>(lifted_words(weight.cols)));
  for (const std::uint32_t c : column) marked[c / 32] |= 1u << (c % 32);
  header.lifted = writer.append(marked);
  return writer.finish(header);
}

}  // namespace cross::compiler
