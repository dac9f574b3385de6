// Packs format row_lists (src/plan/formats/gpu/row_lists.h).
#include <algorithm>
#include <array>
#include <cstdint>
#include <functional>
#include <limits>
#include <numeric>
#include <queue>
#include <span>
#include <vector>

#include "compiler/pack/gpu/blob_writer.h"
#include "compiler/pack/gpu/formats.h"
#include "compiler/pack/gpu/kept_rows.h"
#include "cross/error.h"
#include "plan/formats/gpu/row_lists.h"

namespace cross::compiler {
namespace {

using namespace formats::gpu;

std::int64_t row_of(const std::uint32_t* granules, int row_of_panel) {
  return std::int64_t{granules[row_of_panel / row_list_granule]} * row_list_granule +
         row_of_panel % row_list_granule;
}

/// The granules of each panel, so that panels keep equally much: the fullest first, each to the panel that
/// has least and still has room. Then panels, so that any number of neighbours keep equally much too: by
/// weight in the order of reversed bits.
std::vector<std::uint32_t> deal_granules(const MatrixView& weight, std::int32_t panels, int threads) {
  std::vector<std::int64_t> kept(static_cast<std::size_t>(panels) * row_list_granules);
#pragma omp parallel for schedule(static) num_threads(threads)
  for (std::int64_t g = 0; g < static_cast<std::int64_t>(kept.size()); ++g) {
    std::int64_t sum = 0;
    const std::int64_t end = std::min((g + 1) * row_list_granule, weight.rows);
    for (std::int64_t r = g * row_list_granule; r < end; ++r)
      for (std::int64_t c = 0; c < weight.cols; ++c) sum += weight.bits(r, c) != 0 ? 1 : 0;
    kept[static_cast<std::size_t>(g)] = sum;
  }
  struct Dealt {
    std::int64_t kept = 0;
    std::int32_t panel = 0;
    auto operator<=>(const Dealt&) const = default;
  };
  std::priority_queue<Dealt, std::vector<Dealt>, std::greater<>> least;
  for (std::int32_t p = 0; p < panels; ++p) least.push({0, p});
  std::vector<std::vector<std::uint32_t>> dealt(static_cast<std::size_t>(panels));
  std::vector<std::int64_t> total(static_cast<std::size_t>(panels));
  for (const std::int32_t g : rows_by_count(kept)) {
    Dealt to = least.top();
    least.pop();
    auto& granules = dealt[static_cast<std::size_t>(to.panel)];
    granules.push_back(static_cast<std::uint32_t>(g));
    total[static_cast<std::size_t>(to.panel)] = to.kept += kept[static_cast<std::size_t>(g)];
    if (granules.size() < row_list_granules) least.push(to);
  }
  const auto reversed = [](std::uint32_t v) {
    std::uint32_t out = 0;
    for (int bit = 0; bit < 32; ++bit) out |= (v >> bit & 1) << (31 - bit);
    return out;
  };
  std::vector<std::uint32_t> places(static_cast<std::size_t>(panels));
  std::iota(places.begin(), places.end(), 0u);
  std::sort(places.begin(), places.end(),
            [&](std::uint32_t a, std::uint32_t b) { return reversed(a) < reversed(b); });
  std::vector<std::uint32_t> out(kept.size());
  const std::vector<std::int32_t> fullest = rows_by_count(total);
  for (std::size_t i = 0; i < fullest.size(); ++i) {
    auto& granules = dealt[static_cast<std::size_t>(fullest[i])];
    std::sort(granules.begin(), granules.end());
    std::copy(granules.begin(), granules.end(),
              out.begin() + static_cast<std::ptrdiff_t>(places[i]) * row_list_granules);
  }
  return out;
}

/// A panel's rows: the kept columns of each, ascending.
struct Panel {
  std::array<std::vector<std::int32_t>, row_list_rows> cols;

  Panel(const MatrixView& weight, const std::uint32_t* granules) {
    for (int i = 0; i < row_list_rows; ++i) {
      const std::int64_t row = row_of(granules, i);
      for (std::int64_t c = 0; row < weight.rows && c < weight.cols; ++c)
        if (weight.bits(row, c) != 0)
          cols[static_cast<std::size_t>(i)].push_back(static_cast<std::int32_t>(c));
    }
  }
  /// The columns of a row in [first, end).
  std::span<const std::int32_t> part(int row, std::int64_t first, std::int64_t end) const {
    const auto& all = cols[static_cast<std::size_t>(row)];
    const auto from = std::lower_bound(all.begin(), all.end(), first);
    return {from, std::lower_bound(from, all.end(), end)};
  }
};

/// A panel's rows in a block, in the order of its quads: those of nearly one length stand together, the
/// longest first.
struct Quads {
  std::vector<std::int32_t> order;
  std::array<std::span<const std::int32_t>, row_list_rows> cols;

  Quads(const Panel& panel, std::int64_t first, std::int64_t end) {
    std::vector<std::int64_t> count;
    for (int row = 0; row < row_list_rows; ++row)
      count.push_back(static_cast<std::int64_t>(panel.part(row, first, end).size()));
    order = rows_by_count(count);
    for (std::size_t i = 0; i < row_list_rows; ++i) cols[i] = panel.part(order[i], first, end);
  }
  std::size_t steps(int quad) const {
    const std::size_t longest = cols[static_cast<std::size_t>(quad * row_list_streams)].size();
    return std::max<std::size_t>(1, (longest + row_list_step - 1) / row_list_step);
  }
};

/// Calls f(block, panel, granules of the panel, quads) for all of them.
template <class F>
void for_each_piece(const MatrixView& weight, const RowListsHeader& h,
                    const std::vector<std::uint32_t>& granules, int threads, F f) {
#pragma omp parallel for schedule(dynamic) num_threads(threads)
  for (std::int32_t p = 0; p < h.panels; ++p) {
    const std::uint32_t* const own =
        granules.data() + std::size_t{row_list_granules} * static_cast<std::size_t>(p);
    const Panel panel(weight, own);
    for (std::int32_t block = 0; block < h.blocks; ++block) {
      const std::int64_t first = std::int64_t{block} * h.block_cols;
      f(static_cast<std::size_t>(block) * static_cast<std::size_t>(h.panels) + static_cast<std::size_t>(p),
        first, own, Quads(panel, first, first + h.block_cols));
    }
  }
}

/// Everything but the entries.
struct Plan {
  RowListsHeader header;
  std::vector<std::uint32_t> granules, begin;
  std::vector<std::uint8_t> order;
  std::int64_t kept = 0;

  Plan(const MatrixView& weight, int threads)
      : header(begin_header<RowListsHeader>(Format::row_lists, weight)) {
    header.panels = static_cast<std::int32_t>(row_list_panels(weight.rows));
    // Blocks of equal size, an even number of them: two CTAs share K.
    std::int64_t blocks = (weight.cols + row_list_most_cols - 1) / row_list_most_cols;
    if (blocks > 1) blocks += blocks % 2;
    header.block_cols = static_cast<std::int32_t>(((weight.cols + blocks - 1) / blocks + 31) / 32 * 32);
    header.blocks = static_cast<std::int32_t>((weight.cols + header.block_cols - 1) / header.block_cols);
    granules = deal_granules(weight, header.panels, threads);
    const std::size_t pieces =
        static_cast<std::size_t>(header.panels) * static_cast<std::size_t>(header.blocks);
    order.resize(pieces * row_list_rows);
    begin.resize(pieces * row_list_quads + 1);
    std::vector<std::int64_t> kept_of(pieces);
    for_each_piece(weight, header, granules, threads,
                   [&](std::size_t piece, std::int64_t, const std::uint32_t*, const Quads& quads) {
                     for (std::size_t i = 0; i < row_list_rows; ++i) {
                       order[piece * row_list_rows + i] = static_cast<std::uint8_t>(quads.order[i]);
                       kept_of[piece] += static_cast<std::int64_t>(quads.cols[i].size());
                     }
                     for (int quad = 0; quad < row_list_quads; ++quad)
                       begin[piece * row_list_quads + static_cast<std::size_t>(quad) + 1] =
                           static_cast<std::uint32_t>(quads.steps(quad));
                   });
    kept = std::accumulate(kept_of.begin(), kept_of.end(), std::int64_t{0});
    std::uint64_t steps = 0;
    for (std::uint32_t& of_list : begin) {
      steps += of_list;
      if (steps > std::numeric_limits<std::uint32_t>::max())
        throw InternalError("pack: row_lists holds at most 2^32 steps");
      of_list = static_cast<std::uint32_t>(steps);
    }
    header.steps = static_cast<std::uint32_t>(steps);
  }
};

}  // namespace

double row_lists_density(const MatrixView& weight, int threads) {
  return Plan(weight, threads).header.density();
}

std::vector<std::byte> pack_row_lists(const MatrixView& weight, int threads, std::int64_t& kept) {
  const Plan plan(weight, threads);
  RowListsHeader header = plan.header;
  const std::vector<std::uint32_t>&granules = plan.granules, &begin = plan.begin;
  kept = plan.kept;
  BlobWriter writer(sizeof header);
  header.granules = writer.append(granules);
  header.order = writer.append(plan.order);
  header.begin = writer.append(begin);

  constexpr std::size_t entries_a_step = row_list_streams * row_list_step;
  header.entries = writer.reserve<RowListEntry>(header.steps * entries_a_step);
  auto* const entries = reinterpret_cast<RowListEntry*>(writer.at(header.entries));
  for_each_piece(weight, header, granules, threads,
                 [&](std::size_t piece, std::int64_t first, const std::uint32_t* own, const Quads& quads) {
                   RowListEntry* step = entries + begin[piece * row_list_quads] * entries_a_step;
                   for (int quad = 0; quad < row_list_quads; ++quad) {
                     const std::size_t count = quads.steps(quad);
                     for (std::size_t s = 0; s < row_list_streams; ++s) {
                       const std::size_t i = static_cast<std::size_t>(quad * row_list_streams) + s;
                       for (std::size_t e = 0; e < count * row_list_step; ++e) {
                         RowListEntry entry{row_list_filling_bits, row_list_filling(header.block_cols)};
                         if (e < quads.cols[i].size()) {
                           const std::int32_t col = quads.cols[i][e];
                           entry = {weight.bits(row_of(own, quads.order[i]), col),
                                    row_list_place(static_cast<int>(col - first))};
                         }
                         step[e / row_list_step * entries_a_step + s * row_list_step + e % row_list_step] =
                             entry;
                       }
                     }
                     step += count * entries_a_step;
                   }
                 });
  return writer.finish(header);
}

}  // namespace cross::compiler
