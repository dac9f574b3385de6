#include "plan/formats/gpu/delta.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "base/parallel.h"
#include "cross/error.h"
#include "plan/formats/gpu/blob.h"

namespace cross::formats::gpu {
namespace {

/// The tables of a blob whose arrays fit.
class DeltaBlob {
 public:
  explicit DeltaBlob(std::span<const std::byte> bytes)
      : blob(bytes), h(read_header<DeltaHeader>(bytes)), layout(h.max_pieces, h.part_tiles) {}

  std::uint32_t cta_begin(std::uint64_t cta) const { return element<std::uint32_t>(blob, h.cta_block, cta); }
  std::int64_t k_begin(std::uint64_t cta) const {
    return static_cast<std::int64_t>(cta % static_cast<std::uint64_t>(h.slices)) * h.extent;
  }
  int extent(std::uint64_t cta) const {
    return static_cast<int>(std::min<std::int64_t>(h.extent, h.cols - k_begin(cta)));
  }
  std::int32_t row(std::uint64_t part, std::uint64_t local) const {
    return element<std::int32_t>(blob, h.part_rows, part * rows_per_part() + local);
  }
  std::uint64_t rows_per_part() const { return static_cast<std::uint64_t>(h.part_tiles) * delta_tile_rows; }

  template <class T>
  T in_directory(std::uint64_t cta, std::uint32_t offset, std::uint64_t index) const {
    return element<T>(blob, h.directory + cta * layout.bytes + offset, index);
  }
  std::uint32_t piece_end(std::uint64_t cta, std::uint64_t piece) const {
    return in_directory<std::uint32_t>(cta, layout.piece_end, piece);
  }
  std::uint32_t piece_begin(std::uint64_t cta, std::uint64_t piece) const {
    return piece == 0 ? 0 : piece_end(cta, piece - 1);
  }
  std::uint16_t tile_piece(std::uint64_t cta, std::uint64_t tile) const {
    return in_directory<std::uint16_t>(cta, layout.tile_piece, tile);
  }

  std::span<const std::byte> blob;
  DeltaHeader h;
  DeltaDirectory layout;
};

/// Follows the 32 lists of a tile, step by step.
class ListWalk {
 public:
  ListWalk(const DeltaBlob& b, std::uint64_t cta, std::uint64_t piece) : b_(b) {
    for (int lane = 0; lane < delta_lanes; ++lane)
      next_[lane] = b.in_directory<std::uint16_t>(cta, b.layout.piece_start,
                                                  piece * delta_lanes + static_cast<std::uint64_t>(lane));
  }

  /// Moves all lanes by a step of quad `quad` of the CTA whose first block is `first`, and reads the values.
  void step(std::uint32_t first, std::uint32_t quad, int s) {
    const std::uint64_t at = b_.h.stream + (std::uint64_t{first} + quad / 2) *
                                               static_cast<std::uint64_t>(delta_block_bytes(b_.h.bits));
    const int half = static_cast<int>(quad % 2);
    for (int lane = 0; lane < delta_lanes; ++lane) {
      if (b_.h.bits == 4) {
        const auto byte = element<std::uint8_t>(b_.blob, at, static_cast<std::uint64_t>(lane * 4 + s));
        position[lane] = next_[lane] + (byte >> (4 * half) & 15);
        next_[lane] = position[lane] + 1;
      } else {
        position[lane] = next_[lane] + element<std::int8_t>(
                                           b_.blob, at, static_cast<std::uint64_t>(lane * 8 + 4 * half + s));
        next_[lane] = position[lane];
      }
      value[lane] = element<std::uint16_t>(
          b_.blob, at + static_cast<std::uint64_t>(delta_steps_bytes(b_.h.bits)),
          static_cast<std::uint64_t>(holding_lane(lane) * delta_block_steps + 4 * half + s));
    }
  }

  int column(int lane) const { return b_.h.bits == 4 ? position[lane] : gather_position(position[lane]); }
  /// Whether a piece that starts here starts as `other` does.
  bool at(const ListWalk& other) const { return std::equal(next_, next_ + delta_lanes, other.next_); }

  int position[delta_lanes] = {};
  std::uint16_t value[delta_lanes] = {};

 private:
  const DeltaBlob& b_;
  int next_[delta_lanes];
};

std::string check_header(std::span<const std::byte> blob, const DeltaHeader& h) {
  if (h.bytes != sizeof(DeltaHeader) || h.rows < 1 || h.cols < 1) return "the header is damaged";
  if (h.bits != (h.format == static_cast<std::uint32_t>(Format::delta4) ? 4 : 8))
    return fmt::format("steps of {} bits", h.bits);
  if (h.parts < 1 || h.slices < 1 || h.parts > delta_max_ctas / h.slices)
    return fmt::format("{} parts x {} slices are not 1 to {} CTAs", h.parts, h.slices, delta_max_ctas);
  if (h.extent < 8 || h.extent % 8 != 0 || h.extent > 65528)
    return fmt::format("a slice of {} columns is not a multiple of 8 up to 65528", h.extent);
  if (static_cast<std::int64_t>(h.extent) * h.slices < h.cols ||
      static_cast<std::int64_t>(h.extent) * (h.slices - 1) >= h.cols)
    return fmt::format("{} slices of {} columns do not cover {}", h.slices, h.extent, h.cols);
  if (h.part_tiles < 1 || h.part_tiles > delta_no_row / delta_tile_rows)
    return fmt::format("{} tiles in a part are out of range", h.part_tiles);
  if (h.max_pieces < 0 || h.max_pieces > delta_no_row)
    return fmt::format("{} pieces are out of range", h.max_pieces);
  if (!array_fits(blob, h.cta_block, h.ctas() + 1, 4) ||
      !array_fits(blob, h.part_rows,
                  static_cast<std::uint64_t>(h.parts) * static_cast<std::uint64_t>(h.part_tiles), 32) ||
      !array_fits(blob, h.directory, h.ctas(), DeltaDirectory(h.max_pieces, h.part_tiles).bytes))
    return "an array leaves the blob or is not aligned to 128 bytes";
  std::uint32_t before = 0;
  for (std::uint64_t c = 0; c <= h.ctas(); ++c) {
    const auto block = element<std::uint32_t>(blob, h.cta_block, c);
    if (block < before || (c == 0 && block != 0))
      return fmt::format("the blocks of CTA {} do not ascend from 0", c);
    before = block;
  }
  if (!array_fits(blob, h.stream, before, static_cast<std::size_t>(delta_block_bytes(h.bits))))
    return "the blocks leave the blob or are not aligned to 128 bytes";
  return {};
}

/// Every row of W in one part.
std::string check_rows(const DeltaBlob& b) {
  std::vector<bool> seen(static_cast<std::size_t>(b.h.rows));
  for (std::uint64_t i = 0; i < static_cast<std::uint64_t>(b.h.parts) * b.rows_per_part(); ++i) {
    const std::int32_t row = b.row(0, i);
    if (row == -1) continue;
    if (row < 0 || row >= b.h.rows || seen[static_cast<std::size_t>(row)])
      return fmt::format("row {} is out of range or there twice", row);
    seen[static_cast<std::size_t>(row)] = true;
  }
  if (const auto missing = std::find(seen.begin(), seen.end(), false); missing != seen.end())
    return fmt::format("no part has row {}", missing - seen.begin());
  return {};
}

/// The directory of a CTA, without following its lists.
std::string check_directory(const DeltaBlob& b, std::uint64_t cta) {
  const std::uint64_t part = cta / static_cast<std::uint64_t>(b.h.slices);
  std::vector<bool> seen(b.rows_per_part());
  for (std::uint64_t r = 0; r < b.rows_per_part(); ++r) {
    const auto place = b.in_directory<std::uint16_t>(cta, b.layout.row_place, r);
    if ((place == delta_no_row) != (b.row(part, r) < 0))
      return fmt::format("CTA {}: row {} of the part is left out or does not exist", cta, r);
    if (place == delta_no_row) continue;
    if (place >= seen.size() || seen[place])
      return fmt::format("CTA {}: place {} is out of range or there twice", cta, place);
    seen[place] = true;
  }

  const auto tiles = static_cast<std::uint64_t>(b.h.part_tiles);
  for (std::uint64_t t = 0; t < tiles; ++t)
    if (b.tile_piece(cta, t) > b.tile_piece(cta, t + 1) || b.tile_piece(cta, 0) != 0)
      return fmt::format("CTA {}: the pieces of its tiles do not ascend from 0", cta);
  const std::uint64_t pieces = b.tile_piece(cta, tiles);
  if (pieces > static_cast<std::uint64_t>(b.h.max_pieces))
    return fmt::format("CTA {} has {} pieces", cta, pieces);
  const std::uint32_t count = b.cta_begin(cta + 1) - b.cta_begin(cta);
  for (std::uint64_t i = 0; i < pieces; ++i)
    if (b.piece_end(cta, i) <= b.piece_begin(cta, i)) return fmt::format("CTA {}: piece {} is empty", cta, i);
  if ((pieces == 0 ? 0 : b.piece_end(cta, pieces - 1)) != std::uint64_t{2} * count)
    return fmt::format("CTA {}: its pieces do not cover its blocks", cta);
  std::uint64_t piece = 0;
  for (int w = 0; w < delta_warps; ++w) {
    const std::uint32_t begin = delta_warp_begin(count, w);
    if (begin == delta_warp_begin(count, w + 1)) continue;
    while (piece < pieces && b.piece_begin(cta, piece) < 2 * begin) ++piece;
    if (piece == pieces || b.piece_begin(cta, piece) != 2 * begin ||
        b.in_directory<std::uint16_t>(cta, b.layout.warp_piece, static_cast<std::uint64_t>(w)) != piece)
      return fmt::format("CTA {}: no piece begins with warp {}", cta, w);
  }
  return {};
}

/// Calls step(tile, walk) for every step of the CTA, and piece(tile, walk before, walk of the piece) where a
/// piece starts inside a tile.
template <class Step, class Piece>
void follow(const DeltaBlob& b, std::uint64_t cta, const Step& step, const Piece& starts) {
  const std::uint32_t first = b.cta_begin(cta);
  for (std::uint64_t tile = 0; tile < static_cast<std::uint64_t>(b.h.part_tiles); ++tile) {
    const std::uint64_t begin = b.tile_piece(cta, tile), end = b.tile_piece(cta, tile + 1);
    if (begin == end) continue;
    ListWalk walk(b, cta, begin);
    for (std::uint64_t piece = begin; piece < end; ++piece) {
      if (piece > begin) starts(walk, ListWalk(b, cta, piece));
      for (std::uint32_t quad = b.piece_begin(cta, piece); quad < b.piece_end(cta, piece); ++quad)
        for (int s = 0; s < delta_quad_steps; ++s) {
          walk.step(first, quad, s);
          step(tile, walk);
        }
    }
  }
}

/// The directory and the lists of a CTA.
std::string check_cta(const DeltaBlob& b, std::uint64_t cta) {
  if (auto error = check_directory(b, cta); !error.empty()) return error;
  // Idle steps may stand on the zeros that fill the last eight columns; weights may not.
  const int extent = b.extent(cta), filled = (extent + 7) / 8 * 8;
  bool inside = true, same = true;
  follow(
      b, cta,
      [&](std::uint64_t, const ListWalk& walk) {
        for (int lane = 0; lane < delta_lanes; ++lane)
          inside = inside && walk.position[lane] >= 0 && walk.position[lane] < filled &&
                   (walk.value[lane] == 0 || walk.column(lane) < extent);
      },
      [&](const ListWalk& walk, const ListWalk& piece) { same = same && walk.at(piece); });
  if (!inside) return fmt::format("CTA {}: a list leaves its {} columns", cta, extent);
  if (!same) return fmt::format("CTA {}: a piece does not go on where its tile was cut", cta);
  return {};
}

}  // namespace

std::string check_delta(std::span<const std::byte> blob, std::size_t threads) {
  if (blob.size() < sizeof(DeltaHeader)) return "too few bytes for the header";
  if (auto error = check_header(blob, read_header<DeltaHeader>(blob)); !error.empty()) return error;
  const DeltaBlob b(blob);
  if (auto error = check_rows(b); !error.empty()) return error;
  return base::first_error_parallel(b.h.ctas(), threads, [&](std::size_t cta) { return check_cta(b, cta); });
}

void decode_delta(std::span<const std::byte> blob, const Visitor& visit) {
  const DeltaBlob b(blob);
  for (std::uint64_t cta = 0; cta < b.h.ctas(); ++cta) {
    const std::uint64_t part = cta / static_cast<std::uint64_t>(b.h.slices);
    const std::int64_t k_begin = b.k_begin(cta);
    std::vector<std::int32_t> row_at(b.rows_per_part(), -1);
    for (std::uint64_t r = 0; r < row_at.size(); ++r)
      if (const auto place = b.in_directory<std::uint16_t>(cta, b.layout.row_place, r); place != delta_no_row)
        row_at[place] = b.row(part, r);
    follow(
        b, cta,
        [&](std::uint64_t tile, const ListWalk& walk) {
          for (int lane = 0; lane < delta_lanes; ++lane) {
            if (walk.value[lane] == 0) continue;
            const std::int32_t row =
                row_at[tile * delta_tile_rows + static_cast<std::uint64_t>(gather_row(lane))];
            if (row >= 0) visit(row, k_begin + walk.column(lane), walk.value[lane]);
          }
        },
        [](const ListWalk&, const ListWalk&) {});
  }
}

}  // namespace cross::formats::gpu
