#include <algorithm>
#include <numeric>
#include <queue>

#include "compiler/pack/gpu/blob_writer.h"
#include "compiler/pack/gpu/conflict_free.h"
#include "compiler/pack/gpu/formats.h"
#include "compiler/pack/gpu/kept_rows.h"
#include "cross/error.h"
#include "plan/formats/gpu/gather8.h"

namespace cross::compiler {
namespace {

using namespace formats::gpu;

constexpr int tile_rows = gather8_tile_rows;
constexpr int lanes = gather8_lanes;

/// One tile in one K range.
struct Entry {
  std::vector<std::byte> blocks;
  std::array<std::uint16_t, lanes> starts{};
  /// Columns of the lanes before each block: where a warp may start.
  std::vector<std::array<std::uint16_t, lanes>> before;

  std::uint32_t count() const { return static_cast<std::uint32_t>(before.size()); }
};

/// @param rows    kept weights of the tile's rows inside the range, at their positions, ascending
/// @param extent  positions of the range
Entry pack_entry(const std::array<std::vector<KeptWeight>, tile_rows>& rows, int extent) {
  std::array<std::vector<KeptWeight>, lanes> list;
  for (int lane = 0; lane < lanes; ++lane) {
    const auto& row = rows[static_cast<std::size_t>(gather8_row(lane))];
    const auto slot = static_cast<std::size_t>(gather8_list(lane));
    list[static_cast<std::size_t>(lane)].assign(
        row.begin() + static_cast<std::ptrdiff_t>(row.size() * slot / 4),
        row.begin() + static_cast<std::ptrdiff_t>(row.size() * (slot + 1) / 4));
  }
  std::array<std::vector<ListStep>, lanes> steps;
  std::size_t longest = 1;
  Entry entry;
  for (std::size_t phase = 0; phase < 4; ++phase) {
    std::array<std::vector<KeptWeight>, 8> eight;
    std::array<std::uint16_t, 8> start;
    std::move(list.begin() + static_cast<std::ptrdiff_t>(8 * phase),
              list.begin() + static_cast<std::ptrdiff_t>(8 * phase + 8), eight.begin());
    auto ordered = order_phase(eight, extent, start);
    for (std::size_t i = 0; i < 8; ++i) {
      longest = std::max(longest, ordered[i].size());
      steps[8 * phase + i] = std::move(ordered[i]);
      entry.starts[8 * phase + i] = start[i];
    }
  }
  const std::size_t blocks = (longest + gather8_block_steps - 1) / gather8_block_steps;
  entry.blocks.resize(blocks * gather8_block_bytes);
  std::array<std::uint16_t, lanes> column = entry.starts;
  for (std::size_t b = 0; b < blocks; ++b) {
    entry.before.push_back(column);
    std::byte* block = entry.blocks.data() + b * gather8_block_bytes;
    for (int lane = 0; lane < lanes; ++lane) {
      for (int s = 0; s < gather8_block_steps; ++s) {
        const std::size_t at = b * gather8_block_steps + static_cast<std::size_t>(s);
        const auto& list_steps = steps[static_cast<std::size_t>(lane)];
        const ListStep step = at < list_steps.size() ? list_steps[at] : ListStep{};
        std::memcpy(block + lane * 4 + s, &step.delta, 1);
        std::memcpy(block + gather8_values_at + 2 * gather8_value_index(lane, s), &step.bits, 2);
        column[static_cast<std::size_t>(lane)] =
            static_cast<std::uint16_t>(column[static_cast<std::size_t>(lane)] + step.delta);
      }
    }
  }
  return entry;
}

/// How much of K one CTA can hold: planes of eight tokens, 16 bytes a column, beside the rings and partial
/// sums.
int k_groups_for(std::int64_t cols, const GpuTarget& target) {
  const std::size_t planes =
      static_cast<std::size_t>(std::clamp<std::int64_t>((target.tokens + 7) / 8, 1, 8));
  const std::size_t fixed = 40 * 1024 + 2 * gather8_warps * 256 * planes;
  if (target.shared_bytes <= fixed) throw InternalError("pack: too little shared memory for gather8");
  const std::size_t columns =
      std::min<std::size_t>((target.shared_bytes - fixed) / (16 * planes) / 8 * 8, 65528);
  return static_cast<int>((static_cast<std::size_t>(cols) + columns - 1) / columns);
}

/// Longest first: every tile goes to the part with the least blocks so far.
std::vector<std::vector<std::int32_t>> deal_tiles(const std::vector<std::uint32_t>& blocks, int parts) {
  using Load = std::pair<std::uint64_t, int>;
  std::priority_queue<Load, std::vector<Load>, std::greater<>> loads;
  for (int p = 0; p < parts; ++p) loads.push({0, p});
  std::vector<std::int32_t> order(blocks.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](std::int32_t a, std::int32_t b) {
    return blocks[static_cast<std::size_t>(a)] > blocks[static_cast<std::size_t>(b)];
  });
  std::vector<std::vector<std::int32_t>> dealt(static_cast<std::size_t>(parts));
  for (const std::int32_t tile : order) {
    auto [load, part] = loads.top();
    loads.pop();
    dealt[static_cast<std::size_t>(part)].push_back(tile);
    // A tile's end costs about as much as a block: its sums are stored or added up.
    loads.push({load + blocks[static_cast<std::size_t>(tile)] + 1, part});
  }
  return dealt;
}

}  // namespace

std::vector<std::byte> pack_gather8(const MatrixView& weight, DType dtype, const GpuTarget& target,
                                    int threads, std::int64_t& kept) {
  const std::vector<std::int64_t> count = count_rows(weight, dtype, threads);
  kept = std::accumulate(count.begin(), count.end(), std::int64_t{0});
  const std::vector<std::int32_t> order = rows_by_count(count);
  const auto tiles = static_cast<std::int32_t>((weight.rows + tile_rows - 1) / tile_rows);

  Gather8Header header;
  header.format = static_cast<std::uint32_t>(Format::gather8);
  header.bytes = sizeof header;
  header.rows = static_cast<std::int32_t>(weight.rows);
  header.cols = static_cast<std::int32_t>(weight.cols);
  header.tiles = tiles;
  int groups = k_groups_for(weight.cols, target);
  header.k_extent = static_cast<std::int32_t>(((weight.cols + groups - 1) / groups + 7) / 8 * 8);
  groups = static_cast<int>((weight.cols + header.k_extent - 1) / header.k_extent);
  header.k_groups = groups;
  header.parts = std::max(1, std::min({target.sms, gather8_max_ctas}) / groups);

  std::vector<std::int32_t> row_map(static_cast<std::size_t>(tiles) * tile_rows, -1);
  std::copy(order.begin(), order.end(), row_map.begin());
  std::vector<Entry> packed(static_cast<std::size_t>(tiles) * static_cast<std::size_t>(groups));
  std::vector<std::uint32_t> blocks(static_cast<std::size_t>(tiles));
#pragma omp parallel for schedule(dynamic, 4) num_threads(threads)
  for (std::int32_t tile = 0; tile < tiles; ++tile) {
    std::array<std::vector<KeptWeight>, tile_rows> rows;
    for (std::size_t r = 0; r < tile_rows; ++r) {
      const std::int32_t row = row_map[static_cast<std::size_t>(tile) * tile_rows + r];
      if (row >= 0) kept_weights(weight, dtype, row, rows[r]);
    }
    for (int g = 0; g < groups; ++g) {
      const std::int64_t k0 = static_cast<std::int64_t>(g) * header.k_extent;
      const int extent = static_cast<int>(std::min<std::int64_t>(header.k_extent, weight.cols - k0));
      std::array<std::vector<KeptWeight>, tile_rows> inside;
      for (std::size_t r = 0; r < tile_rows; ++r)
        for (const KeptWeight& w : rows[r])
          if (w.col >= k0 && w.col < k0 + extent)
            inside[r].push_back({gather8_position(static_cast<int>(w.col - k0)), w.bits});
      for (auto& row : inside)
        std::sort(row.begin(), row.end(),
                  [](const KeptWeight& a, const KeptWeight& b) { return a.col < b.col; });
      Entry& entry = packed[static_cast<std::size_t>(tile) * static_cast<std::size_t>(groups) +
                            static_cast<std::size_t>(g)];
      entry = pack_entry(inside, (extent + 7) / 8 * 8);
      blocks[static_cast<std::size_t>(tile)] += entry.count();
    }
  }

  const auto dealt = deal_tiles(blocks, header.parts);
  std::vector<std::uint32_t> cta_block{0}, cta_entry{0}, entry_block{0}, warp_entry;
  std::vector<std::array<std::int32_t, tile_rows>> entry_rows;
  std::vector<std::array<std::uint16_t, lanes>> entry_starts, warp_starts;
  std::vector<const Entry*> in_order;
  for (const auto& part : dealt) {
    for (int g = 0; g < groups; ++g) {
      const std::size_t first = in_order.size();
      for (const std::int32_t tile : part) {
        const Entry& entry = packed[static_cast<std::size_t>(tile) * static_cast<std::size_t>(groups) +
                                    static_cast<std::size_t>(g)];
        in_order.push_back(&entry);
        std::copy_n(row_map.begin() + static_cast<std::ptrdiff_t>(tile) * tile_rows, tile_rows,
                    entry_rows.emplace_back().begin());
        entry_block.push_back(entry_block.back() + entry.count());
        entry_starts.push_back(entry.starts);
      }
      const std::uint32_t begin = cta_block.back();
      cta_block.push_back(entry_block.back());
      cta_entry.push_back(static_cast<std::uint32_t>(in_order.size()));
      std::size_t e = first;
      for (int w = 0; w < gather8_warps; ++w) {
        const std::uint32_t at = begin + gather8_warp_begin(cta_block.back() - begin, w);
        while (e + 1 < in_order.size() && entry_block[e + 1] <= at) ++e;
        warp_entry.push_back(static_cast<std::uint32_t>(e));
        const bool has_work = e < in_order.size() && at < entry_block[e + 1];
        warp_starts.push_back(has_work ? in_order[e]->before[at - entry_block[e]]
                                       : std::array<std::uint16_t, lanes>{});
      }
    }
  }
  header.entries = static_cast<std::uint32_t>(in_order.size());
  header.blocks = entry_block.back();

  BlobWriter writer(sizeof header);
  header.cta_block = writer.append(cta_block);
  header.cta_entry = writer.append(cta_entry);
  entry_block.erase(entry_block.begin());
  header.entry_end = writer.append(entry_block);
  header.entry_rows = writer.append(entry_rows);
  header.entry_starts = writer.append(entry_starts);
  header.warp_entry = writer.append(warp_entry);
  header.warp_starts = writer.append(warp_starts);
  header.stream = writer.reserve<std::byte>(std::size_t{header.blocks} * gather8_block_bytes);
  std::byte* at = writer.at(header.stream);
  for (const Entry* entry : in_order) {
    std::memcpy(at, entry->blocks.data(), entry->blocks.size());
    at += entry->blocks.size();
  }
  return writer.finish(header);
}

}  // namespace cross::compiler
