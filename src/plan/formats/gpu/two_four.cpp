#include "plan/formats/gpu/two_four.h"

#include <fmt/format.h>

#include "plan/formats/gpu/two_four_blocks.h"

namespace cross::formats::gpu {

std::string TwoFourBlocks::check(std::int64_t rows, std::int64_t cols) const {
  const auto count = static_cast<std::uint64_t>(panels) * static_cast<std::uint64_t>(k_blocks);
  if (!array_fits(blob, offset, count, two_four_block_bytes))
    return "the blocks leave the blob or are not aligned to 128 bytes";
  for (std::uint64_t b = 0; b < count; ++b)
    for (std::uint64_t i = 0; i < 32 * two_four_steps; ++i)
      if (!names_ascend(
              element<std::uint32_t>(blob, offset + b * two_four_block_bytes + two_four_metadata_at, i)))
        return fmt::format("block {}: metadata word {} names columns that do not ascend", b, i);
  // Only the last panel and the last blocks of a panel have filling.
  std::string error;
  for (std::int64_t panel = 0; panel < panels && error.empty(); ++panel) {
    const std::int64_t first = (panel + 1) * two_four_rows > rows ? 0 : k_blocks - 1;
    for (std::int64_t k_block = first; k_block < k_blocks; ++k_block)
      for_each_value(panel, k_block, [&](std::int64_t row, std::int64_t col, std::uint16_t) {
        if (row >= rows || col >= cols)
          error = fmt::format("a weight at row {}, column {} lies outside {}x{}", row, col, rows, cols);
      });
  }
  return error;
}

std::string check_two_four(std::span<const std::byte> blob, std::int64_t, std::int64_t) {
  if (blob.size() < sizeof(TwoFourHeader)) return "too few bytes for the header";
  const auto h = read_header<TwoFourHeader>(blob);
  if (h.bytes != sizeof(TwoFourHeader) || h.rows < 1 || h.cols < 1) return "the header is damaged";
  if (h.panels != (static_cast<std::int64_t>(h.rows) + two_four_rows - 1) / two_four_rows ||
      h.k_blocks != (static_cast<std::int64_t>(h.cols) + two_four_cols - 1) / two_four_cols)
    return fmt::format("{} panels of {} K blocks do not cover {}x{}", h.panels, h.k_blocks, h.rows, h.cols);
  if (h.blocks < sizeof(TwoFourHeader)) return "the blocks leave the blob or are not aligned to 128 bytes";
  return TwoFourBlocks{blob, h.panels, h.k_blocks, h.blocks}.check(h.rows, h.cols);
}

void decode_two_four(std::span<const std::byte> blob, const Visitor& visit) {
  const auto h = read_header<TwoFourHeader>(blob);
  TwoFourBlocks{blob, h.panels, h.k_blocks, h.blocks}.for_each_value(visit);
}

}  // namespace cross::formats::gpu
