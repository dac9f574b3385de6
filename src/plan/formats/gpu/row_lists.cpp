#include "plan/formats/gpu/row_lists.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "plan/formats/gpu/blob.h"

namespace cross::formats::gpu {
namespace {

struct Lists {
  std::span<const std::byte> blob;
  const RowListsHeader& h;

  std::uint32_t begin(std::int64_t block, std::int64_t panel, int quad) const {
    return element<std::uint32_t>(
        blob, h.begin, static_cast<std::uint64_t>((block * h.panels + panel) * row_list_quads + quad));
  }
  int in_panel(std::int64_t block, std::int64_t panel, int quad, int stream) const {
    const std::int64_t at = (block * h.panels + panel) * row_list_rows + quad * row_list_streams + stream;
    return element<std::uint8_t>(blob, h.order, static_cast<std::uint64_t>(at));
  }
  std::int64_t granule(std::int64_t panel, int i) const {
    return element<std::uint32_t>(blob, h.granules,
                                  static_cast<std::uint64_t>(panel * row_list_granules + i));
  }
  /// The row of W that stream `stream` of a quad is.
  std::int64_t row(std::int64_t block, std::int64_t panel, int quad, int stream) const {
    const int local = in_panel(block, panel, quad, stream);
    return granule(panel, local / row_list_granule) * row_list_granule + local % row_list_granule;
  }
  RowListEntry entry(std::uint32_t step, int stream, int which) const {
    return element<RowListEntry>(blob, h.entries,
                                 std::uint64_t{step} * (row_list_streams * row_list_step) +
                                     static_cast<std::uint64_t>(stream * row_list_step + which));
  }
  bool fills(const RowListEntry& entry) const {
    return entry.bits == row_list_filling_bits && entry.place == row_list_filling(h.block_cols);
  }
};

/// A quad's list: rows and columns of the matrix, columns that ascend.
std::string check_list(const Lists& lists, std::int64_t block, std::int64_t panel, int quad) {
  const RowListsHeader& h = lists.h;
  const std::uint32_t from = lists.begin(block, panel, quad), to = lists.begin(block, panel, quad + 1);
  if (to <= from || to > h.steps)
    return fmt::format("quad {} of panel {} ends before it begins in block {}, or has no step", quad, panel,
                       block);
  const std::int64_t cols = std::min<std::int64_t>(h.block_cols, h.cols - block * h.block_cols);
  for (int stream = 0; stream < row_list_streams; ++stream) {
    const std::int64_t row = lists.row(block, panel, quad, stream);
    int last = -1;
    for (std::uint32_t i = row_list_step * from; i < row_list_step * to; ++i) {
      const std::uint32_t step = i / row_list_step;
      const RowListEntry entry = lists.entry(step, stream, static_cast<int>(i % row_list_step));
      if (lists.fills(entry)) continue;
      if (row >= h.rows) return fmt::format("step {} has a weight of row {} of {}", step, row, h.rows);
      if (entry.bits == 0) return fmt::format("step {} keeps a zero in row {}", step, row);
      const auto col = static_cast<int>(entry.place / row_list_column);
      if (col >= cols || row_list_place(col) != entry.place)
        return fmt::format("step {} names place {}, no column of {} in block {}", step, entry.place, cols,
                           block);
      if (col <= last)
        return fmt::format("row {} has column {} of block {} behind column {}", row, col, block, last);
      last = col;
    }
  }
  return {};
}

/// Every granule once, and every row of a panel.
std::string check_order(const Lists& lists) {
  std::vector<bool> there(static_cast<std::size_t>(lists.h.panels) * row_list_granules);
  for (std::int64_t panel = 0; panel < lists.h.panels; ++panel) {
    for (int i = 0; i < row_list_granules; ++i) {
      const auto granule = static_cast<std::size_t>(lists.granule(panel, i));
      if (granule >= there.size() || there[granule])
        return fmt::format("panel {} has granule {}, which there is not or twice", panel, granule);
      there[granule] = true;
    }
    for (std::int64_t block = 0; block < lists.h.blocks; ++block) {
      std::uint32_t seen = 0;
      for (int quad = 0; quad < row_list_quads; ++quad)
        for (int stream = 0; stream < row_list_streams; ++stream) {
          const int row = lists.in_panel(block, panel, quad, stream);
          if (row >= row_list_rows || (seen >> row & 1) != 0)
            return fmt::format("panel {} does not have every row once in block {}", panel, block);
          seen |= 1u << row;
        }
    }
  }
  return {};
}

}  // namespace

std::string check_row_lists(std::span<const std::byte> blob, std::int64_t, std::int64_t) {
  if (blob.size() < sizeof(RowListsHeader)) return "too few bytes for the header";
  const auto h = read_header<RowListsHeader>(blob);
  if (h.bytes != sizeof(RowListsHeader) || h.rows < 1 || h.cols < 1) return "the header is damaged";
  if (h.block_cols < 32 || h.block_cols > row_list_most_cols || h.block_cols % 32 != 0)
    return fmt::format("a block has {} columns; it has a multiple of 32, at most {}", h.block_cols,
                       row_list_most_cols);
  if (h.panels != row_list_panels(h.rows) ||
      h.blocks != (std::int64_t{h.cols} + h.block_cols - 1) / h.block_cols)
    return fmt::format("{} panels in {} blocks of {} columns do not cover {}x{}", h.panels, h.blocks,
                       h.block_cols, h.rows, h.cols);
  for (const std::uint64_t offset : {h.granules, h.order, h.begin, h.entries})
    if (offset < sizeof(RowListsHeader)) return "an array overlaps the header";
  const auto panels = static_cast<std::uint64_t>(h.panels);
  const std::uint64_t pieces = panels * static_cast<std::uint64_t>(h.blocks);
  if (!array_fits(blob, h.granules, panels, 4 * row_list_granules) ||
      !array_fits(blob, h.order, pieces, row_list_rows) ||
      !array_fits(blob, h.begin, row_list_quads * pieces + 1, 4) ||
      !array_fits(blob, h.entries, h.steps, row_list_streams * row_list_step * sizeof(RowListEntry)))
    return "an array leaves the blob or is not aligned to 128 bytes";
  const Lists all{blob, h};
  if (all.begin(0, 0, 0) != 0 || all.begin(h.blocks, 0, 0) != h.steps)
    return "its panels do not hold its steps";
  if (std::string error = check_order(all); !error.empty()) return error;
  for (std::int64_t block = 0; block < h.blocks; ++block)
    for (std::int64_t panel = 0; panel < h.panels; ++panel)
      for (int quad = 0; quad < row_list_quads; ++quad)
        if (std::string error = check_list(all, block, panel, quad); !error.empty()) return error;
  return {};
}

void decode_row_lists(std::span<const std::byte> blob, const Visitor& visit) {
  const auto h = read_header<RowListsHeader>(blob);
  const Lists lists{blob, h};
  for (std::int64_t block = 0; block < h.blocks; ++block)
    for (std::int64_t panel = 0; panel < h.panels; ++panel)
      for (int quad = 0; quad < row_list_quads; ++quad)
        for (std::uint32_t step = lists.begin(block, panel, quad); step < lists.begin(block, panel, quad + 1);
             ++step)
          for (int stream = 0; stream < row_list_streams; ++stream)
            for (int which = 0; which < row_list_step; ++which) {
              const RowListEntry entry = lists.entry(step, stream, which);
              if (!lists.fills(entry))
                visit(lists.row(block, panel, quad, stream),
                      block * h.block_cols + static_cast<std::int64_t>(entry.place / row_list_column),
                      entry.bits);
            }
}

}  // namespace cross::formats::gpu
