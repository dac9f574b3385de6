#include "plan/formats/gpu/gather8.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "plan/formats/gpu/blob.h"

namespace cross::formats::gpu {
namespace {

/// Follows the 32 lanes of one entry, step by step.
class EntryWalk {
 public:
  EntryWalk(std::span<const std::byte> blob, const Gather8Header& header, std::uint32_t entry)
      : blob_(blob), header_(header) {
    for (int lane = 0; lane < gather8_lanes; ++lane)
      position[lane] = element<std::uint16_t>(
          blob, header.entry_starts, std::uint64_t{entry} * gather8_lanes + static_cast<unsigned>(lane));
  }

  /// Moves all lanes by step `step` of `block` and reads the values.
  void step(std::uint32_t block, int step) {
    const std::uint64_t at = header_.stream + std::uint64_t{block} * gather8_block_bytes;
    for (int lane = 0; lane < gather8_lanes; ++lane) {
      position[lane] += element<std::int8_t>(blob_, at, static_cast<std::uint64_t>(lane * 4 + step));
      value[lane] = element<std::uint16_t>(blob_, at + gather8_values_at,
                                           static_cast<std::uint64_t>(gather8_value_index(lane, step)));
    }
  }

  int position[gather8_lanes];
  std::uint16_t value[gather8_lanes] = {};

 private:
  std::span<const std::byte> blob_;
  const Gather8Header& header_;
};

std::uint32_t entry_begin(std::span<const std::byte> blob, const Gather8Header& h, std::uint32_t entry) {
  return entry == 0 ? 0 : element<std::uint32_t>(blob, h.entry_end, entry - 1);
}

/// The tables, without following the lanes.
std::string check_tables(std::span<const std::byte> blob, const Gather8Header& h) {
  if (h.parts < 1 || h.k_groups < 1 || h.parts > gather8_max_ctas / h.k_groups)
    return fmt::format("{} parts x {} K groups are not 1 to {} CTAs", h.parts, h.k_groups, gather8_max_ctas);
  if (h.k_extent < 8 || h.k_extent % 8 != 0 || h.k_extent > 65528)
    return fmt::format("a K range of {} columns is not a multiple of 8 up to 65528", h.k_extent);
  if (static_cast<std::int64_t>(h.k_extent) * h.k_groups < h.cols ||
      static_cast<std::int64_t>(h.k_extent) * (h.k_groups - 1) >= h.cols)
    return fmt::format("{} K ranges of {} columns do not cover {}", h.k_groups, h.k_extent, h.cols);
  const std::int64_t tiles = (static_cast<std::int64_t>(h.rows) + gather8_tile_rows - 1) / gather8_tile_rows;
  if (h.tiles != tiles) return fmt::format("{} tiles for {} rows", h.tiles, h.rows);
  const auto ctas = static_cast<std::uint64_t>(h.parts) * static_cast<std::uint64_t>(h.k_groups);
  if (h.entries != static_cast<std::uint64_t>(h.tiles) * static_cast<std::uint64_t>(h.k_groups))
    return fmt::format("{} entries for {} tiles and {} K groups", h.entries, h.tiles, h.k_groups);
  if (!array_fits(blob, h.cta_block, ctas + 1, 4) || !array_fits(blob, h.cta_entry, ctas + 1, 4) ||
      !array_fits(blob, h.entry_end, h.entries, 4) || !array_fits(blob, h.entry_rows, h.entries, 32) ||
      !array_fits(blob, h.entry_starts, h.entries, 64) ||
      !array_fits(blob, h.warp_entry, ctas * gather8_warps, 4) ||
      !array_fits(blob, h.warp_starts, ctas * gather8_warps, 64) ||
      !array_fits(blob, h.stream, h.blocks, gather8_block_bytes))
    return "an array leaves the blob or is not aligned to 128 bytes";
  std::uint32_t block = 0, entry = 0;
  for (std::uint64_t c = 0; c <= ctas; ++c) {
    const auto next_block = element<std::uint32_t>(blob, h.cta_block, c);
    const auto next_entry = element<std::uint32_t>(blob, h.cta_entry, c);
    if (next_block < block || next_entry < entry || (c == 0 && (next_block != 0 || next_entry != 0)))
      return fmt::format("the blocks or entries of CTA {} do not ascend from 0", c);
    block = next_block;
    entry = next_entry;
    if (entry > h.entries || entry_begin(blob, h, entry) != block)
      return fmt::format("CTA {} does not start at the first block of an entry", c);
  }
  if (block != h.blocks || entry != h.entries) return "the CTAs do not cover all blocks and entries";
  for (std::uint32_t e = 0; e < h.entries; ++e)
    if (entry_begin(blob, h, e) >= entry_begin(blob, h, e + 1))
      return fmt::format("entry {} has no block", e);
  return {};
}

/// Every row once per K group, in the same entries: the K groups of a part are added entry by entry.
std::string check_rows(std::span<const std::byte> blob, const Gather8Header& h) {
  std::vector<bool> seen(static_cast<std::size_t>(h.rows));
  for (std::int32_t part = 0; part < h.parts; ++part) {
    const auto cta = static_cast<std::uint64_t>(part) * static_cast<std::uint64_t>(h.k_groups);
    const auto first = element<std::uint32_t>(blob, h.cta_entry, cta);
    const auto count = element<std::uint32_t>(blob, h.cta_entry, cta + 1) - first;
    for (std::uint64_t i = 0; i < std::uint64_t{count} * gather8_tile_rows; ++i) {
      const auto row =
          element<std::int32_t>(blob, h.entry_rows, std::uint64_t{first} * gather8_tile_rows + i);
      if (row == -1) continue;
      if (row < 0 || row >= h.rows || seen[static_cast<std::size_t>(row)])
        return fmt::format("row {} of the tiles is out of range or there twice", row);
      seen[static_cast<std::size_t>(row)] = true;
    }
    for (std::uint64_t g = 1; g < static_cast<std::uint64_t>(h.k_groups); ++g) {
      const auto begin = element<std::uint32_t>(blob, h.cta_entry, cta + g);
      if (element<std::uint32_t>(blob, h.cta_entry, cta + g + 1) - begin != count ||
          std::memcmp(blob.data() + h.entry_rows + std::uint64_t{first} * 32,
                      blob.data() + h.entry_rows + std::uint64_t{begin} * 32, std::size_t{count} * 32) != 0)
        return fmt::format("the K groups of part {} differ in their rows", part);
    }
  }
  for (std::size_t r = 0; r < seen.size(); ++r)
    if (!seen[r]) return fmt::format("no tile has row {}", r);
  return {};
}

}  // namespace

std::string check_gather8(std::span<const std::byte> blob, std::int64_t, std::int64_t) {
  if (blob.size() < sizeof(Gather8Header)) return "too few bytes for the header";
  const auto h = read_header<Gather8Header>(blob);
  if (h.bytes != sizeof(Gather8Header) || h.rows < 1 || h.cols < 1) return "the header is damaged";
  if (auto error = check_tables(blob, h); !error.empty()) return error;
  if (auto error = check_rows(blob, h); !error.empty()) return error;

  // Every lane stays inside its K range, also where a warp starts in the middle of an entry.
  std::uint64_t cta = 0;
  for (std::uint32_t e = 0; e < h.entries; ++e) {
    while (element<std::uint32_t>(blob, h.cta_entry, cta + 1) <= e) ++cta;
    const auto group = static_cast<std::int64_t>(cta % static_cast<std::uint64_t>(h.k_groups));
    const auto extent = static_cast<int>(std::min<std::int64_t>(h.k_extent, h.cols - group * h.k_extent));
    // Idle steps may stand on the zeros that fill the last eight columns; weights may not.
    const int filled = (extent + 7) / 8 * 8;
    const auto cta_begin = element<std::uint32_t>(blob, h.cta_block, cta);
    const auto cta_count = element<std::uint32_t>(blob, h.cta_block, cta + 1) - cta_begin;
    const auto begin = entry_begin(blob, h, e);
    const auto end = entry_begin(blob, h, e + 1);
    EntryWalk walk(blob, h, e);
    int warp = 0;
    for (std::uint32_t b = begin; b < end; ++b) {
      while (warp < gather8_warps && cta_begin + gather8_warp_begin(cta_count, warp) < b) ++warp;
      for (; warp < gather8_warps && cta_begin + gather8_warp_begin(cta_count, warp) == b; ++warp) {
        const std::uint64_t w = cta * gather8_warps + static_cast<std::uint64_t>(warp);
        if (element<std::uint32_t>(blob, h.warp_entry, w) != e)
          return fmt::format("warp {} starts in a wrong entry", w);
        for (int lane = 0; lane < gather8_lanes; ++lane)
          if (element<std::uint16_t>(blob, h.warp_starts, w * gather8_lanes + static_cast<unsigned>(lane)) !=
              walk.position[lane])
            return fmt::format("warp {} starts at a wrong position", w);
      }
      for (int s = 0; s < gather8_block_steps; ++s) {
        walk.step(b, s);
        for (int lane = 0; lane < gather8_lanes; ++lane)
          if (walk.position[lane] < 0 || walk.position[lane] >= filled ||
              (walk.value[lane] != 0 && gather8_position(walk.position[lane]) >= extent))
            return fmt::format("block {}: lane {} leaves its {} columns", b, lane, extent);
      }
    }
  }
  return {};
}

void decode_gather8(std::span<const std::byte> blob, const Visitor& visit) {
  const auto h = read_header<Gather8Header>(blob);
  std::uint64_t cta = 0;
  for (std::uint32_t e = 0; e < h.entries; ++e) {
    while (element<std::uint32_t>(blob, h.cta_entry, cta + 1) <= e) ++cta;
    const auto k0 = static_cast<std::int64_t>(cta % static_cast<std::uint64_t>(h.k_groups)) * h.k_extent;
    EntryWalk walk(blob, h, e);
    for (std::uint32_t b = entry_begin(blob, h, e); b < entry_begin(blob, h, e + 1); ++b)
      for (int s = 0; s < gather8_block_steps; ++s) {
        walk.step(b, s);
        for (int lane = 0; lane < gather8_lanes; ++lane) {
          if (walk.value[lane] == 0) continue;
          const auto row = element<std::int32_t>(
              blob, h.entry_rows,
              std::uint64_t{e} * gather8_tile_rows + static_cast<std::uint64_t>(gather8_row(lane)));
          if (row >= 0) visit(row, k0 + gather8_position(walk.position[lane]), walk.value[lane]);
        }
      }
  }
}

}  // namespace cross::formats::gpu
