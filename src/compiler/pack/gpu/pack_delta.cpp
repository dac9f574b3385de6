#include <algorithm>
#include <array>
#include <numeric>
#include <queue>

#include "compiler/pack/gpu/blob_writer.h"
#include "compiler/pack/gpu/delta_lists.h"
#include "compiler/pack/gpu/formats.h"
#include "compiler/pack/gpu/kept_rows.h"
#include "cross/error.h"

namespace cross::compiler {
namespace {

using namespace formats::gpu;

constexpr std::size_t tile_rows = delta_tile_rows;

/// What one CTA works on.
struct Cta {
  std::vector<std::byte> blocks;
  std::vector<std::uint32_t> piece_end;
  std::vector<std::array<std::uint16_t, delta_lanes>> piece_start;
  std::array<std::uint16_t, delta_warps> warp_piece{};
  std::vector<std::uint16_t> tile_piece;
  std::vector<std::uint16_t> row_place;
};

void store_quad(int bits, const DeltaTile& tile, std::size_t quad, std::byte* block, std::size_t half) {
  for (int lane = 0; lane < delta_lanes; ++lane) {
    const auto& steps = tile.lists[static_cast<std::size_t>(lane)].steps;
    std::int32_t before = tile.start(bits, lane, quad);
    std::byte* values = block + delta_steps_bytes(bits) + holding_lane(lane) * delta_block_steps * 2;
    for (std::size_t s = 0; s < delta_quad_steps; ++s) {
      const KeptWeight& step = steps[quad * delta_quad_steps + s];
      const std::int32_t delta = step.col - before;
      if (bits == 4) {
        block[static_cast<std::size_t>(lane) * 4 + s] |= static_cast<std::byte>(delta << (4 * half));
        before = step.col + 1;
      } else {
        block[static_cast<std::size_t>(lane) * 8 + 4 * half + s] =
            static_cast<std::byte>(static_cast<std::int8_t>(delta));
        before = step.col;
      }
      std::memcpy(values + 2 * (4 * half + s), &step.bits, 2);
    }
  }
}

/// Cuts the tiles into blocks, and the blocks into the warps' pieces.
void cut_pieces(int bits, const std::vector<DeltaTile>& tiles, Cta& cta) {
  std::size_t quads = 0;
  for (const DeltaTile& tile : tiles) quads += tile.quads;
  const auto count = static_cast<std::uint32_t>(quads / 2);
  cta.blocks.resize(std::size_t{count} * static_cast<std::size_t>(delta_block_bytes(bits)));
  std::uint32_t at = 0;
  int warp = 0;
  const auto warp_begin = [&](int w) { return 2 * delta_warp_begin(count, w); };
  for (const DeltaTile& tile : tiles) {
    cta.tile_piece.push_back(static_cast<std::uint16_t>(cta.piece_end.size()));
    for (std::size_t quad = 0; quad < tile.quads; ++quad, ++at) {
      const bool new_warp = warp < delta_warps && warp_begin(warp) <= at;
      if (quad == 0 || new_warp) {
        if (!cta.piece_end.empty()) cta.piece_end.back() = at;
        cta.piece_end.push_back(0);
        auto& start = cta.piece_start.emplace_back();
        for (int lane = 0; lane < delta_lanes; ++lane)
          start[static_cast<std::size_t>(lane)] = tile.start(bits, lane, quad);
      }
      for (; warp < delta_warps && warp_begin(warp) <= at; ++warp)
        cta.warp_piece[static_cast<std::size_t>(warp)] = static_cast<std::uint16_t>(cta.piece_end.size() - 1);
      store_quad(bits, tile, quad,
                 cta.blocks.data() + at / 2 * static_cast<std::size_t>(delta_block_bytes(bits)), at % 2);
    }
  }
  if (!cta.piece_end.empty()) cta.piece_end.back() = at;
  cta.tile_piece.push_back(static_cast<std::uint16_t>(cta.piece_end.size()));
}

/// The rows of a part in the columns [k_begin, k_begin + extent).
Cta pack_cta(const MatrixView& weight, DType dtype, int bits, std::span<const std::int32_t> rows,
             std::int64_t k_begin, int extent) {
  std::vector<std::vector<KeptWeight>> kept(rows.size());
  std::vector<std::int64_t> count(rows.size());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (rows[i] < 0) continue;
    kept[i].reserve(static_cast<std::size_t>(extent));
    for (int c = 0; c < extent; ++c)
      if (const std::uint16_t value = half_bits(weight, dtype, rows[i], k_begin + c); value != 0)
        kept[i].push_back({c, value});
    count[i] = delta_steps(bits, kept[i]);
  }
  // Neighbours in this order have lists of nearly one length in this slice.
  const std::vector<std::int32_t> order = rows_by_count(count);
  const int filled = (extent + 7) / 8 * 8;
  Cta cta;
  cta.row_place.assign(rows.size(), delta_no_row);
  std::vector<DeltaTile> tiles;
  for (std::size_t first = 0; first < rows.size(); first += tile_rows) {
    std::array<const std::vector<KeptWeight>*, tile_rows> eight;
    for (std::size_t r = 0; r < tile_rows; ++r) {
      const auto local = static_cast<std::size_t>(order[first + r]);
      eight[r] = &kept[local];
      if (rows[local] >= 0) cta.row_place[local] = static_cast<std::uint16_t>(first + r);
    }
    tiles.push_back(make_delta_tile(bits, eight, filled));
  }
  // Whole blocks: the last tile that has quads gets another one if their number is odd.
  std::size_t quads = 0;
  for (const DeltaTile& tile : tiles) quads += tile.quads;
  if (quads % 2 != 0) {
    const auto last =
        std::find_if(tiles.rbegin(), tiles.rend(), [](const DeltaTile& t) { return t.quads > 0; });
    extend_delta_tile(bits, *last, last->quads + 1, filled);
  }
  cut_pieces(bits, tiles, cta);
  return cta;
}

using Dealt = std::vector<std::vector<std::int32_t>>;  ///< rows of every part, −1: none; tiles of eight

/// Parts of neighbouring rows.
Dealt deal_neighbours(std::size_t rows, std::size_t parts) {
  const std::size_t tiles = (rows + tile_rows - 1) / tile_rows;
  Dealt dealt(parts);
  for (std::size_t p = 0; p < parts; ++p)
    for (std::size_t r = tiles * p / parts * tile_rows; r < tiles * (p + 1) / parts * tile_rows; ++r)
      dealt[p].push_back(r < rows ? static_cast<std::int32_t>(r) : -1);
  return dealt;
}

/// Longest first: eight rows of nearly one count go to the part with the least kept weights so far.
Dealt deal_longest_first(const std::vector<std::int64_t>& count, std::size_t parts) {
  const std::vector<std::int32_t> order = rows_by_count(count);
  using Load = std::tuple<std::int64_t, std::size_t, std::size_t>;  // kept weights, rows, part
  std::priority_queue<Load, std::vector<Load>, std::greater<>> loads;
  for (std::size_t p = 0; p < parts; ++p) loads.push({0, 0, p});
  Dealt dealt(parts);
  for (std::size_t first = 0; first < order.size(); first += tile_rows) {
    auto [load, size, part] = loads.top();
    loads.pop();
    for (std::size_t r = first; r < first + tile_rows; ++r) {
      dealt[part].push_back(r < order.size() ? order[r] : -1);
      if (r < order.size()) load += count[static_cast<std::size_t>(order[r])];
    }
    loads.push({load, size + tile_rows, part});
  }
  return dealt;
}

/// Steps of the part that has most: its rows sorted by count, eight at a time as long as the longest.
std::int64_t most_steps(const Dealt& dealt, const std::vector<std::int64_t>& count) {
  std::int64_t most = 0;
  for (const auto& rows : dealt) {
    std::vector<std::int64_t> sorted;
    for (const std::int32_t row : rows) sorted.push_back(row < 0 ? 0 : count[static_cast<std::size_t>(row)]);
    std::sort(sorted.begin(), sorted.end(), std::greater<>());
    std::int64_t steps = 0;
    for (std::size_t r = 0; r < sorted.size(); r += tile_rows) steps += sorted[r];
    most = std::max(most, steps);
  }
  return most;
}

/// Neighbouring rows make neighbouring outputs, which are stored faster; even parts are worth more.
Dealt deal_rows(const std::vector<std::int64_t>& count, int parts) {
  constexpr double worth = 1.01;
  Dealt near = deal_neighbours(count.size(), static_cast<std::size_t>(parts));
  Dealt even = deal_longest_first(count, static_cast<std::size_t>(parts));
  const auto steps = [&](const Dealt& dealt) { return static_cast<double>(most_steps(dealt, count)); };
  return steps(near) <= worth * steps(even) ? near : even;
}

/// Shared memory beside X: for sums of pieces, directory and rows of a part.
constexpr std::size_t beside = 54 * 1024;

/// Columns of a slice: what the kernels can hold of X in shared memory.
std::int64_t widest_slice(int bits, const GpuTarget& target) {
  const std::size_t planes = target.tokens > 8 ? 2 : 1;
  const std::size_t column_bytes = bits == 4 ? 128 : 16 * planes;
  if (target.shared_bytes <= beside + 8 * column_bytes)
    throw InternalError("pack: too little shared memory for delta formats");
  return static_cast<std::int64_t>(
      std::min<std::size_t>((target.shared_bytes - beside) / column_bytes / 8 * 8, 65528));
}

/// As many parts as there are SMs for, or more, in whole rounds, where a part's sums would leave shared
/// memory.
int parts_for(std::int64_t tiles, int slices, const GpuTarget& target) {
  const std::int64_t pad = target.tokens > 8 ? 16 : 8;
  // A piece has eight rows of sums, its start and its end; a tile further 50 bytes; up to 16 pieces start at
  // warps.
  const std::int64_t room = static_cast<std::int64_t>(beside) / (32 * pad + 118) - delta_warps - 1;
  const std::int64_t at_once = std::max(1, target.sms / slices);
  const std::int64_t rounds = (tiles + at_once * room - 1) / (at_once * room);
  return static_cast<int>(
      std::clamp<std::int64_t>(rounds * at_once, 1, std::min<std::int64_t>(tiles, delta_max_ctas / slices)));
}

}  // namespace

std::vector<std::byte> pack_delta(const MatrixView& weight, DType dtype, int bits, const GpuTarget& target,
                                  int threads, std::int64_t& kept) {
  const std::vector<std::int64_t> count = count_rows(weight, dtype, threads);
  kept = std::accumulate(count.begin(), count.end(), std::int64_t{0});

  auto header = begin_header<DeltaHeader>(bits == 4 ? Format::delta4 : Format::delta8, weight);
  header.bits = bits;
  const std::int64_t widest = widest_slice(bits, target);
  const std::int64_t least = (weight.cols + widest - 1) / widest;
  header.extent = static_cast<std::int32_t>(((weight.cols + least - 1) / least + 7) / 8 * 8);
  header.slices = static_cast<std::int32_t>((weight.cols + header.extent - 1) / header.extent);
  const std::int64_t tiles = (weight.rows + delta_tile_rows - 1) / delta_tile_rows;
  if (header.slices > delta_max_ctas) throw InternalError("pack: too many columns for delta formats");
  header.parts = parts_for(tiles, header.slices, target);

  const auto dealt = deal_rows(count, header.parts);
  std::size_t part_rows = 0;
  for (const auto& rows : dealt) part_rows = std::max(part_rows, rows.size());
  if (part_rows >= delta_no_row) throw InternalError("pack: too many rows for delta formats");
  header.part_tiles = static_cast<std::int32_t>(part_rows / tile_rows);

  std::vector<Cta> ctas(header.ctas());
#pragma omp parallel for schedule(dynamic, 1) num_threads(threads)
  for (std::size_t i = 0; i < ctas.size(); ++i) {
    const std::size_t part = i / static_cast<std::size_t>(header.slices);
    const auto k_begin =
        static_cast<std::int64_t>(i % static_cast<std::size_t>(header.slices)) * header.extent;
    ctas[i] = pack_cta(weight, dtype, bits, dealt[part], k_begin,
                       static_cast<int>(std::min<std::int64_t>(header.extent, weight.cols - k_begin)));
  }

  std::size_t pieces = 0;
  std::vector<std::uint32_t> cta_block{0};
  for (const Cta& cta : ctas) {
    pieces = std::max(pieces, cta.piece_end.size());
    cta_block.push_back(
        cta_block.back() +
        static_cast<std::uint32_t>(cta.blocks.size() / static_cast<std::size_t>(delta_block_bytes(bits))));
  }
  header.max_pieces = static_cast<std::int32_t>(pieces);
  const DeltaDirectory layout(header.max_pieces, header.part_tiles);

  BlobWriter writer(sizeof header);
  header.cta_block = writer.append(cta_block);
  std::vector<std::int32_t> rows(part_rows * dealt.size(), -1);
  for (std::size_t p = 0; p < dealt.size(); ++p)
    std::copy(dealt[p].begin(), dealt[p].end(), rows.begin() + static_cast<std::ptrdiff_t>(p * part_rows));
  header.part_rows = writer.append(rows);
  header.directory = writer.reserve<std::byte>(ctas.size() * layout.bytes);
  header.stream = writer.reserve<std::byte>(std::size_t{cta_block.back()} *
                                            static_cast<std::size_t>(delta_block_bytes(bits)));
  std::byte* stream = writer.at(header.stream);
  for (std::size_t i = 0; i < ctas.size(); ++i) {
    Cta& cta = ctas[i];
    std::byte* to = writer.at(header.directory + i * layout.bytes);
    const auto put = [&](std::uint32_t offset, const auto& values) {
      if (!values.empty()) std::memcpy(to + offset, values.data(), values.size() * sizeof values[0]);
    };
    // A part with fewer tiles than there is room for: the rest has neither pieces nor rows.
    cta.tile_piece.resize(static_cast<std::size_t>(header.part_tiles) + 1, cta.tile_piece.back());
    cta.row_place.resize(part_rows, delta_no_row);
    put(layout.piece_end, cta.piece_end);
    put(layout.piece_start, cta.piece_start);
    put(layout.warp_piece, cta.warp_piece);
    put(layout.tile_piece, cta.tile_piece);
    put(layout.row_place, cta.row_place);
    std::copy(cta.blocks.begin(), cta.blocks.end(), stream);
    stream += cta.blocks.size();
  }
  return writer.finish(header);
}

}  // namespace cross::compiler
