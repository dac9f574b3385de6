#include "plan/formats/gpu/two_four.h"

#include <fmt/format.h>

#include "plan/formats/gpu/blob.h"

namespace cross::formats::gpu {
namespace {

/// One bit for each of eight nibbles: whether i0 < i1.
constexpr std::uint32_t ascending(std::uint32_t word) {
  const std::uint32_t i0_low = word, i0_high = word >> 1, i1_low = word >> 2, i1_high = word >> 3;
  return ((~i0_high & i1_high) | (~(i0_high ^ i1_high) & ~i0_low & i1_low)) & 0x11111111u;
}

std::uint64_t block_at(const TwoFourHeader& h, std::int64_t panel, std::int64_t k_block) {
  return h.blocks + static_cast<std::uint64_t>(panel * h.k_blocks + k_block) * two_four_block_bytes;
}

/// Calls f(row, col, bits) for every nonzero value, filling included.
template <class F>
void for_each_value(std::span<const std::byte> blob, const TwoFourHeader& h, std::int64_t panel,
                    std::int64_t k_block, F f) {
  const std::uint64_t at = block_at(h, panel, k_block);
  for (int row = 0; row < two_four_rows; ++row)
    for (int group = 0; group < two_four_cols / 4; ++group) {
      const auto word = element<std::uint32_t>(blob, at + two_four_metadata_at,
                                               static_cast<std::uint64_t>(two_four_word_index(row, group)));
      const std::uint32_t nibble = word >> two_four_shift(row, group) & 15u;
      for (int slot = 0; slot < 2; ++slot) {
        const auto bits = element<std::uint16_t>(
            blob, at, static_cast<std::uint64_t>(two_four_value_index(row, group) + slot));
        if (bits != 0)
          f(panel * two_four_rows + row,
            k_block * two_four_cols + 4 * group + static_cast<int>(nibble >> (2 * slot) & 3u), bits);
      }
    }
}

}  // namespace

std::string check_two_four(std::span<const std::byte> blob, std::int64_t, std::int64_t) {
  if (blob.size() < sizeof(TwoFourHeader)) return "too few bytes for the header";
  const auto h = read_header<TwoFourHeader>(blob);
  if (h.bytes != sizeof(TwoFourHeader) || h.rows < 1 || h.cols < 1) return "the header is damaged";
  if (h.panels != (static_cast<std::int64_t>(h.rows) + two_four_rows - 1) / two_four_rows ||
      h.k_blocks != (static_cast<std::int64_t>(h.cols) + two_four_cols - 1) / two_four_cols)
    return fmt::format("{} panels of {} K blocks do not cover {}x{}", h.panels, h.k_blocks, h.rows, h.cols);
  const auto count = static_cast<std::uint64_t>(h.panels) * static_cast<std::uint64_t>(h.k_blocks);
  if (h.blocks < sizeof(TwoFourHeader) || !array_fits(blob, h.blocks, count, two_four_block_bytes))
    return "the blocks leave the blob or are not aligned to 128 bytes";
  for (std::uint64_t b = 0; b < count; ++b)
    for (std::uint64_t i = 0; i < 32 * two_four_steps; ++i)
      if (ascending(element<std::uint32_t>(blob, h.blocks + b * two_four_block_bytes + two_four_metadata_at,
                                           i)) != 0x11111111u)
        return fmt::format("block {}: metadata word {} names columns that do not ascend", b, i);
  // Only the last panel and the last blocks of a panel have filling.
  std::string error;
  for (std::int64_t panel = 0; panel < h.panels && error.empty(); ++panel) {
    const std::int64_t first = (panel + 1) * two_four_rows > h.rows ? 0 : h.k_blocks - 1;
    for (std::int64_t k_block = first; k_block < h.k_blocks; ++k_block)
      for_each_value(blob, h, panel, k_block, [&](std::int64_t row, std::int64_t col, std::uint16_t) {
        if (row >= h.rows || col >= h.cols)
          error = fmt::format("a weight at row {}, column {} lies outside {}x{}", row, col, h.rows, h.cols);
      });
  }
  return error;
}

void decode_two_four(std::span<const std::byte> blob, const Visitor& visit) {
  const auto h = read_header<TwoFourHeader>(blob);
  for (std::int64_t panel = 0; panel < h.panels; ++panel)
    for (std::int64_t k_block = 0; k_block < h.k_blocks; ++k_block)
      for_each_value(blob, h, panel, k_block, visit);
}

}  // namespace cross::formats::gpu
