#include "plan/formats/gpu/column_vectors.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "plan/formats/gpu/blob.h"

namespace cross::formats::gpu {
namespace {

struct Steps {
  std::span<const std::byte> blob;
  const ColumnVectorsHeader& h;

  std::uint32_t begin(std::int64_t panel, std::int64_t block) const {
    return element<std::uint32_t>(blob, h.begin, static_cast<std::uint64_t>(panel * h.blocks + block));
  }
  int place(std::uint32_t step, int slot) const {
    return element<std::uint16_t>(
        blob, h.place, std::uint64_t{step} * column_vector_slots + static_cast<std::uint64_t>(slot));
  }
  std::uint16_t bits(std::uint32_t step, int row, int slot) const {
    return element<std::uint16_t>(
        blob, h.weights,
        std::uint64_t{step} * column_vector_values + static_cast<std::uint64_t>(column_vector_at(row, slot)));
  }
  /// Bits of the rows that keep something at a slot.
  std::uint32_t rows_at(std::uint32_t step, int slot) const {
    std::uint32_t rows = 0;
    for (int row = 0; row < column_vector_rows; ++row)
      rows |= static_cast<std::uint32_t>(bits(step, row, slot) != 0) << row;
    return rows;
  }
};

/// A panel's steps in a block: columns inside of it, rows of the matrix, every weight once.
std::string check_steps(const Steps& steps, std::int64_t panel, std::int64_t block) {
  const ColumnVectorsHeader& h = steps.h;
  const std::int64_t first = block * h.block_cols, row0 = panel * column_vector_rows;
  const auto cols = static_cast<int>(std::min<std::int64_t>(h.block_cols, h.cols - first));
  const std::int64_t rows = std::min<std::int64_t>(column_vector_rows, h.rows - row0);
  std::vector<std::uint32_t> seen(static_cast<std::size_t>(cols));
  for (std::uint32_t step = steps.begin(panel, block); step < steps.begin(panel, block + 1); ++step)
    for (int slot = 0; slot < column_vector_slots; ++slot) {
      const int place = steps.place(step, slot), col = place / 8;
      if (place % 8 != col % 8 || col >= cols)
        return fmt::format("step {} names place {}, no column of {} in block {}", step, place, cols, block);
      const std::uint32_t kept = steps.rows_at(step, slot);
      if (kept >> rows != 0) return fmt::format("step {} has a weight below row {}", step, h.rows);
      if ((kept & seen[static_cast<std::size_t>(col)]) != 0)
        return fmt::format("a weight of column {} in panel {} is there twice", first + col, panel);
      seen[static_cast<std::size_t>(col)] |= kept;
    }
  return {};
}

}  // namespace

std::string check_column_vectors(std::span<const std::byte> blob, std::int64_t, std::int64_t) {
  if (blob.size() < sizeof(ColumnVectorsHeader)) return "too few bytes for the header";
  const auto h = read_header<ColumnVectorsHeader>(blob);
  if (h.bytes != sizeof(ColumnVectorsHeader) || h.rows < 1 || h.cols < 1) return "the header is damaged";
  if (h.block_cols < 8 || h.block_cols > column_vector_most_cols || h.block_cols % 8 != 0)
    return fmt::format("a block has {} columns; it has a multiple of 8, at most {}", h.block_cols,
                       column_vector_most_cols);
  if (h.panels != column_vector_panels(h.rows) ||
      h.blocks != (std::int64_t{h.cols} + h.block_cols - 1) / h.block_cols)
    return fmt::format("{} panels in {} blocks of {} columns do not cover {}x{}", h.panels, h.blocks,
                       h.block_cols, h.rows, h.cols);
  for (const std::uint64_t offset : {h.begin, h.place, h.weights})
    if (offset < sizeof(ColumnVectorsHeader)) return "an array overlaps the header";
  const auto lists = static_cast<std::uint64_t>(h.panels) * static_cast<std::uint64_t>(h.blocks);
  const std::uint64_t there = std::uint64_t{h.steps} + column_vector_ahead;
  if (h.columns > std::uint64_t{h.steps} * column_vector_slots)
    return fmt::format("{} steps do not hold {} columns", h.steps, h.columns);
  if (!array_fits(blob, h.begin, lists + 1, 4) ||
      !array_fits(blob, h.place, there, 2 * column_vector_slots) ||
      !array_fits(blob, h.weights, there, 2 * column_vector_values))
    return "an array leaves the blob or is not aligned to 128 bytes";
  const Steps steps{blob, h};
  if (steps.begin(0, 0) != 0 || steps.begin(h.panels, 0) != h.steps)
    return "its panels do not hold its steps";
  for (std::int64_t panel = 0; panel < h.panels; ++panel)
    for (std::int64_t block = 0; block < h.blocks; ++block) {
      if (steps.begin(panel, block + 1) < steps.begin(panel, block) ||
          steps.begin(panel, block + 1) > h.steps)
        return fmt::format("panel {} ends before it begins in block {}", panel, block);
      if (std::string error = check_steps(steps, panel, block); !error.empty()) return error;
    }
  return {};
}

void decode_column_vectors(std::span<const std::byte> blob, const Visitor& visit) {
  const auto h = read_header<ColumnVectorsHeader>(blob);
  const Steps steps{blob, h};
  for (std::int64_t panel = 0; panel < h.panels; ++panel)
    for (std::int64_t block = 0; block < h.blocks; ++block)
      for (std::uint32_t step = steps.begin(panel, block); step < steps.begin(panel, block + 1); ++step)
        for (int slot = 0; slot < column_vector_slots; ++slot)
          for (int row = 0; row < column_vector_rows; ++row)
            if (const std::uint16_t bits = steps.bits(step, row, slot); bits != 0)
              visit(panel * column_vector_rows + row, block * h.block_cols + steps.place(step, slot) / 8,
                    bits);
}

}  // namespace cross::formats::gpu
