#include "plan/formats/gpu/cross_panels.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <vector>

#include "plan/formats/gpu/blob.h"

namespace cross::formats::gpu {
namespace {

using Blob = std::span<const std::byte>;

CrossStep step_at(Blob blob, const CrossPanelsHeader& h, std::uint64_t index) {
  return element<CrossStep>(blob, h.steps, index);
}
CrossChunk chunk_at(Blob blob, const CrossPanelsHeader& h, std::uint64_t index) {
  return element<CrossChunk>(blob, h.chunks, index);
}

/// Panel boundaries ascend from 0 and end at a count that fits; returns the count.
std::string check_bounds(Blob blob, std::uint64_t offset, std::int64_t panels, const char* what,
                         std::uint64_t& count) {
  std::uint32_t last = 0;
  for (std::int64_t p = 0; p <= panels; ++p) {
    const auto bound = element<std::uint32_t>(blob, offset, static_cast<std::uint64_t>(p));
    if (p == 0 ? bound != 0 : bound < last)
      return fmt::format("{} of panel or share {} begin at {}, after {}", what, p, bound, last);
    last = bound;
  }
  count = last;
  return {};
}

bool payload_fits(const CrossPanelsHeader& h, std::uint32_t at, std::uint64_t bytes) {
  const std::uint64_t begin = std::uint64_t{at} * 16;
  return begin <= h.value_bytes && bytes <= h.value_bytes - begin;
}

/// Visits the weights of one half: f(row in panel, column in step, bits).
template <class F>
void for_each_fragment(Blob blob, std::uint64_t at, int half, F&& f) {
  for (int warp = 0; warp < 4; ++warp)
    for (int reg = 0; reg < cross_registers; ++reg) {
      const auto index = static_cast<std::uint64_t>(warp * cross_registers + reg);
      const auto mask = element<std::uint32_t>(blob, at, index);
      std::uint64_t value = element<std::uint16_t>(blob, at + cross_masks_bytes, index) / 4u;
      for (int lane = 0; lane < 32; ++lane)
        if ((mask >> lane & 1u) != 0)
          f(cross_half_rows * half + cross_fragment_row(warp, lane, reg), cross_fragment_col(lane, reg),
            element<std::uint32_t>(blob, at + cross_half_header, value++));
    }
}

std::string check_half(Blob blob, std::uint64_t at, std::uint32_t bytes) {
  if (bytes % 16 != 0 || bytes < cross_half_header) return fmt::format("{} bytes of a half", bytes);
  std::uint32_t values = 0;
  for (std::uint64_t i = 0; i < 4 * cross_registers; ++i) {
    const auto first = element<std::uint16_t>(blob, at + cross_masks_bytes, i);
    if (first != 4 * values) return fmt::format("register {} begins at {}, not {}", i, first, 4 * values);
    values += static_cast<std::uint32_t>(std::popcount(element<std::uint32_t>(blob, at, i)));
  }
  if (cross_half_header + 4 * values > bytes)
    return fmt::format("{} values do not fit into {} bytes", values, bytes);
  return {};
}

std::string check_steps(Blob blob, const CrossPanelsHeader& h) {
  for (std::int32_t panel = 0; panel < h.panels; ++panel) {
    const auto p = static_cast<std::uint64_t>(panel);
    const auto end = element<std::uint32_t>(blob, h.panel_steps, p + 1);
    for (std::uint64_t s = element<std::uint32_t>(blob, h.panel_steps, p); s < end; ++s) {
      const CrossStep step = step_at(blob, h, s);
      std::uint64_t bytes = 0;
      for (const std::uint64_t units : step.units) bytes += units * cross_unit;
      const std::uint32_t largest =
          cross_unit * std::max(step.units[0] + step.units[1], step.units[2] + step.units[3]);
      if (step.k_step >= static_cast<std::uint32_t>(h.k_steps))
        return fmt::format("tensor step {}: K step {} of {}", s, step.k_step, h.k_steps);
      if (largest > static_cast<std::uint32_t>(h.step_bytes) || !payload_fits(h, step.at, bytes))
        return fmt::format("tensor step {}: {} bytes at {} leave the values", s, bytes, step.at);
      std::uint64_t at = h.values + std::uint64_t{step.at} * 16;
      for (int half = 0; half < 4; ++half) {
        const std::uint32_t size = cross_unit * step.units[half];
        if (size == 0) continue;
        if (const std::string error = check_half(blob, at, size); !error.empty())
          return fmt::format("tensor step {}, half {}: {}", s, half, error);
        std::string error;
        for_each_fragment(blob, at, half, [&](int row, int col, std::uint32_t) {
          if (std::int64_t{panel} * cross_rows + row >= h.rows ||
              std::int64_t{step.k_step} * cross_k + col >= h.cols)
            error = fmt::format("tensor step {}: a weight lies outside {}x{}", s, h.rows, h.cols);
        });
        if (!error.empty()) return error;
        at += size;
      }
    }
  }
  return {};
}

/// Visits the weights of one chunk, filling left out: f(row in share, window row, bits).
template <class F>
void for_each_gathered(Blob blob, std::uint64_t at, const CrossChunk& chunk, F&& f) {
  const std::uint64_t values = at + cross_chunk_header,
                      places = values + std::uint64_t{chunk.pairs} * cross_pair_values;
  for (std::uint64_t list = 0; list < cross_lists; ++list)
    for (std::uint64_t pair = element<std::uint16_t>(blob, at, list);
         pair < element<std::uint16_t>(blob, at, list + 1); ++pair)
      for (std::uint64_t i = 0; i < 8; ++i) {
        const auto place = element<std::uint16_t>(blob, places, pair * 8 + i);
        if (place == cross_filling) continue;
        f(static_cast<int>(4 * list + i / 2), static_cast<std::uint32_t>(place),
          element<std::uint32_t>(blob, values, pair * 8 + i));
      }
}

std::string check_chunks(Blob blob, const CrossPanelsHeader& h) {
  for (std::int64_t share = 0; share < std::int64_t{h.panels} * cross_shares; ++share) {
    const auto index = static_cast<std::uint64_t>(share);
    const auto end = element<std::uint32_t>(blob, h.panel_chunks, index + 1);
    for (std::uint64_t c = element<std::uint32_t>(blob, h.panel_chunks, index); c < end; ++c) {
      const CrossChunk chunk = chunk_at(blob, h, c);
      if (chunk.steps < 1 || chunk.steps > cross_chunk_steps)
        return fmt::format("gather chunk {}: {} K steps", c, chunk.steps);
      for (std::size_t j = 0; j < chunk.steps; ++j)
        if (chunk.k_step[j] >= static_cast<std::uint32_t>(h.k_steps))
          return fmt::format("gather chunk {}: K step {} of {}", c, chunk.k_step[j], h.k_steps);
      if (chunk.bytes > static_cast<std::uint32_t>(h.chunk_bytes) ||
          !payload_fits(h, chunk.at, chunk.bytes) ||
          chunk.bytes != cross_chunk_header + std::uint64_t{chunk.pairs} * cross_pair_bytes)
        return fmt::format("gather chunk {}: {} bytes at {} for {} pairs", c, chunk.bytes, chunk.at,
                           chunk.pairs);
      const std::uint64_t at = h.values + std::uint64_t{chunk.at} * 16;
      std::uint32_t last = 0;
      for (std::uint64_t list = 0; list <= cross_lists; ++list) {
        const auto first = element<std::uint16_t>(blob, at, list);
        if (list == 0 ? first != 0 : first < last || first > chunk.pairs)
          return fmt::format("gather chunk {}: list {} begins at pair {}", c, list, first);
        last = first;
      }
      if (last != chunk.pairs) return fmt::format("gather chunk {}: lists end at pair {}", c, last);
      // Filling is multiplied too: its value must be zero.
      const std::uint64_t places = at + cross_chunk_header + std::uint64_t{chunk.pairs} * cross_pair_values;
      for (std::uint64_t i = 0; i < std::uint64_t{chunk.pairs} * 8; ++i) {
        const auto place = element<std::uint16_t>(blob, places, i);
        if (place % 128 != 0 || place > cross_filling ||
            (place < cross_filling && place >= 128 * cross_k * chunk.steps))
          return fmt::format("gather chunk {}: entry {} names place {}", c, i, place);
        if (place == cross_filling && element<std::uint32_t>(blob, at + cross_chunk_header, i) != 0)
          return fmt::format("gather chunk {}: entry {} is filling with a value", c, i);
      }
      std::string error;
      for_each_gathered(blob, at, chunk, [&](int row, std::uint32_t place, std::uint32_t) {
        const std::uint32_t column = place / 128;
        if (share * cross_share_rows + row >= h.rows ||
            std::int64_t{chunk.k_step[column / cross_k]} * cross_k + column % cross_k >= h.cols)
          error = fmt::format("gather chunk {}: a weight lies outside {}x{}", c, h.rows, h.cols);
      });
      if (!error.empty()) return error;
    }
  }
  return {};
}

/// Every (token tile, panel) is covered by its parts in order, with places and counters of its own.
std::string check_schedule(Blob blob, const CrossPanelsHeader& h, int tiles) {
  const CrossSchedule& schedule = h.schedules[static_cast<std::size_t>(tiles - 1)];
  const std::uint64_t bounds =
      static_cast<std::uint64_t>(tiles - 1) * (static_cast<std::uint64_t>(h.workers) + 1);
  const auto bound = [&](std::int64_t worker) {
    return element<std::uint32_t>(blob, h.worker_pieces, bounds + static_cast<std::uint64_t>(worker));
  };
  if (schedule.policy > static_cast<std::uint32_t>(CrossPolicy::even_cut)) return "unknown policy";
  if (schedule.counters > 1024 / cross_shares)
    return fmt::format("{} counters are more than 512", schedule.counters);
  for (std::int32_t w = 0; w < h.workers; ++w)
    if (bound(w) > bound(w + 1)) return fmt::format("pieces of worker {} end before they begin", w);
  if (bound(h.workers) > static_cast<std::uint32_t>(h.pieces))
    return "workers have more pieces than there are";
  std::vector<CrossPiece> pieces;
  for (std::uint64_t i = bound(0); i < bound(h.workers); ++i)
    pieces.push_back(element<CrossPiece>(blob, h.piece_list, i));
  std::sort(pieces.begin(), pieces.end(), [](const CrossPiece& a, const CrossPiece& b) {
    return std::tuple(a.panel, a.tile, a.part) < std::tuple(b.panel, b.tile, b.part);
  });
  std::vector<bool> slots, counters(schedule.counters);
  if (schedule.slots > pieces.size()) return "more places for partial sums than pieces";
  slots.resize(schedule.slots);
  std::size_t at = 0;
  for (std::uint32_t panel = 0; panel < static_cast<std::uint32_t>(h.panels); ++panel)
    for (int tile = 0; tile < tiles; ++tile) {
      std::uint32_t step = element<std::uint32_t>(blob, h.panel_steps, panel);
      std::uint32_t chunk[cross_shares];
      for (std::uint32_t s = 0; s < cross_shares; ++s)
        chunk[s] = element<std::uint32_t>(blob, h.panel_chunks, cross_shares * panel + s);
      const std::string where = fmt::format("panel {}, token tile {}", panel, tile);
      if (at >= pieces.size()) return where + " has no piece";
      const CrossPiece first = pieces[at];
      if (first.parts < 1) return where + " has no parts";
      for (std::uint32_t part = 0; part < first.parts; ++part, ++at) {
        if (at >= pieces.size()) return where + " lacks a piece";
        const CrossPiece& piece = pieces[at];
        if (piece.panel != panel || piece.tile != tile || piece.part != part || piece.parts != first.parts ||
            piece.counter != first.counter || piece.first_slot != first.first_slot)
          return where + " has pieces that do not belong together";
        if (piece.first_step != step) return where + " has gaps";
        step += piece.steps;
        if (step < piece.first_step) return where + " overflows";
        for (std::uint32_t s = 0; s < cross_shares; ++s) {
          if (piece.first_chunk[s] != chunk[s]) return where + " has gaps";
          chunk[s] += piece.chunks[s];
          if (chunk[s] < piece.first_chunk[s]) return where + " overflows";
        }
        if (first.parts == 1) continue;
        const std::uint64_t slot = std::uint64_t{first.first_slot} + part;
        if (slot >= slots.size() || slots[slot]) return where + " has no place for its sums";
        slots[slot] = true;
      }
      bool complete = step == element<std::uint32_t>(blob, h.panel_steps, panel + 1);
      for (std::uint32_t s = 0; s < cross_shares; ++s)
        complete = complete &&
                   chunk[s] == element<std::uint32_t>(blob, h.panel_chunks, cross_shares * panel + s + 1);
      if (!complete) return where + " is not computed to its end";
      if (first.parts == 1) continue;
      if (first.counter >= counters.size() || counters[first.counter])
        return where + " has no counter of its own";
      counters[first.counter] = true;
    }
  if (at != pieces.size()) return "pieces are left over";
  return {};
}

}  // namespace

std::string check_cross_panels(std::span<const std::byte> blob, std::int64_t, std::int64_t) {
  if (blob.size() < sizeof(CrossPanelsHeader)) return "too few bytes for the header";
  const auto h = read_header<CrossPanelsHeader>(blob);
  if (h.bytes != sizeof(CrossPanelsHeader) || h.rows < 1 || h.cols < 1) return "the header is damaged";
  if (h.panels != (static_cast<std::int64_t>(h.rows) + cross_rows - 1) / cross_rows ||
      h.k_steps != (static_cast<std::int64_t>(h.cols) + cross_k - 1) / cross_k)
    return fmt::format("{} panels of {} K steps do not cover {}x{}", h.panels, h.k_steps, h.rows, h.cols);
  if (h.step_bytes < 0 || h.step_bytes % 128 != 0 ||
      static_cast<std::uint32_t>(h.step_bytes) > cross_max_step_bytes + 127 || h.chunk_bytes < 0 ||
      h.chunk_bytes % 128 != 0 || static_cast<std::uint32_t>(h.chunk_bytes) > cross_max_chunk_bytes + 127)
    return fmt::format("steps of {} and chunks of {} bytes", h.step_bytes, h.chunk_bytes);
  if (h.workers < 1 || h.workers > 4096 || h.pieces < 0)
    return fmt::format("{} pieces for {} workers", h.pieces, h.workers);
  const auto panels = static_cast<std::uint64_t>(h.panels);
  const std::uint64_t bounds = (static_cast<std::uint64_t>(h.workers) + 1) * cross_max_tiles;
  if (!array_fits(blob, h.exponents, panels * cross_rows, 4) ||
      !array_fits(blob, h.panel_steps, panels + 1, 4) ||
      !array_fits(blob, h.panel_chunks, panels * cross_shares + 1, 4) ||
      !array_fits(blob, h.worker_pieces, bounds, 4) ||
      !array_fits(blob, h.piece_list, static_cast<std::uint64_t>(h.pieces), sizeof(CrossPiece)) ||
      !array_fits(blob, h.values, h.value_bytes, 1))
    return "an array leaves the blob or is not aligned to 128 bytes";
  for (std::uint64_t r = 0; r < panels * cross_rows; ++r)
    if (const auto e = element<std::int32_t>(blob, h.exponents, r); e < -126 || e > 126)
      return fmt::format("row {} has exponent {}", r, e);
  std::uint64_t steps = 0, chunks = 0;
  std::string error = check_bounds(blob, h.panel_steps, h.panels, "tensor steps", steps);
  if (error.empty())
    error =
        check_bounds(blob, h.panel_chunks, std::int64_t{h.panels} * cross_shares, "gather chunks", chunks);
  if (!error.empty()) return error;
  if (!array_fits(blob, h.steps, steps, sizeof(CrossStep)) ||
      !array_fits(blob, h.chunks, chunks, sizeof(CrossChunk)))
    return "steps or chunks leave the blob or are not aligned to 128 bytes";
  if (chunks > 0 && h.chunk_bytes == 0) return "chunks of 0 bytes";
  error = check_steps(blob, h);
  if (error.empty()) error = check_chunks(blob, h);
  for (int tiles = 1; tiles <= cross_max_tiles && error.empty(); ++tiles)
    if (error = check_schedule(blob, h, tiles); !error.empty())
      error = fmt::format("schedule of {} token tiles: {}", tiles, error);
  return error;
}

void decode_cross_panels(std::span<const std::byte> blob, const Visitor& visit) {
  const auto h = read_header<CrossPanelsHeader>(blob);
  for (std::int64_t panel = 0; panel < h.panels; ++panel) {
    const auto p = static_cast<std::uint64_t>(panel);
    for (std::uint64_t s = element<std::uint32_t>(blob, h.panel_steps, p);
         s < element<std::uint32_t>(blob, h.panel_steps, p + 1); ++s) {
      const CrossStep step = step_at(blob, h, s);
      std::uint64_t at = h.values + std::uint64_t{step.at} * 16;
      for (int half = 0; half < 4; ++half) {
        const std::uint32_t bytes = cross_unit * step.units[half];
        if (bytes == 0) continue;
        for_each_fragment(blob, at, half, [&](int row, int col, std::uint32_t bits) {
          visit(panel * cross_rows + row, std::int64_t{step.k_step} * cross_k + col, bits);
        });
        at += bytes;
      }
    }
    for (std::uint64_t share = cross_shares * p; share < cross_shares * (p + 1); ++share)
      for (std::uint64_t c = element<std::uint32_t>(blob, h.panel_chunks, share);
           c < element<std::uint32_t>(blob, h.panel_chunks, share + 1); ++c) {
        const CrossChunk chunk = chunk_at(blob, h, c);
        for_each_gathered(blob, h.values + std::uint64_t{chunk.at} * cross_unit, chunk,
                          [&](int row, std::uint32_t place, std::uint32_t bits) {
                            const std::uint32_t column = place / 128;
                            visit(static_cast<std::int64_t>(share) * cross_share_rows + row,
                                  std::int64_t{chunk.k_step[column / cross_k]} * cross_k + column % cross_k,
                                  bits);
                          });
      }
  }
}

}  // namespace cross::formats::gpu
