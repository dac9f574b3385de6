#include "plan/formats/gpu/split_blocks.h"

#include <fmt/format.h>

#include <bit>
#include <bitset>
#include <cmath>

#include "plan/formats/gpu/blob.h"

namespace cross::formats::gpu {
namespace {

using Blob = std::span<const std::byte>;

constexpr std::uint64_t panel_places = split_rows * split_k;

std::uint64_t list_begin(Blob blob, const SplitBlocksHeader& h, std::uint64_t list) {
  return element<std::uint32_t>(blob, h.begin, list);
}

/// Calls f(entry) for every entry of a list but filling, which repeats the entry in front of it.
template <class F>
void for_each_entry(Blob blob, const SplitBlocksHeader& h, std::uint64_t list, F&& f) {
  const std::uint64_t begin = 4 * list_begin(blob, h, list), end = 4 * list_begin(blob, h, list + 1);
  for (std::uint64_t entry = begin; entry < end; ++entry) {
    if (entry > begin &&
        element<std::uint16_t>(blob, h.places, entry) == element<std::uint16_t>(blob, h.places, entry - 1))
      continue;
    f(entry);
  }
}

std::string check_lists(Blob blob, const SplitBlocksHeader& h) {
  const std::uint64_t blocks = static_cast<std::uint64_t>(h.panels) * static_cast<std::uint64_t>(h.k_blocks);
  if (list_begin(blob, h, 0) != 0 || list_begin(blob, h, 2 * blocks) != h.quads)
    return "its lists do not hold its entries";
  for (std::uint64_t list = 0; list < 2 * blocks; ++list)
    if (list_begin(blob, h, list + 1) < list_begin(blob, h, list) || list_begin(blob, h, list + 1) > h.quads)
      return fmt::format("list {} ends before it begins", list);
  for (std::uint64_t list = 0; list < 2 * blocks; ++list) {
    const auto panel = static_cast<std::int64_t>(list / 2 / static_cast<std::uint64_t>(h.k_blocks)),
               k_block = static_cast<std::int64_t>(list / 2 % static_cast<std::uint64_t>(h.k_blocks));
    std::bitset<panel_places> taken;
    std::string error;
    for_each_entry(blob, h, list, [&](std::uint64_t entry) {
      const std::uint32_t place = element<std::uint16_t>(blob, h.places, entry);
      const int row = split_place_row(place), col = split_place_col(place);
      if (row / split_half_rows != static_cast<int>(list % 2))
        error = fmt::format("entry {} stands in the other half of its block", entry);
      else if (panel * split_rows + row >= h.rows || k_block * split_k + col >= h.cols)
        error = fmt::format("a weight at row {}, column {} lies outside {}x{}", panel * split_rows + row,
                            k_block * split_k + col, h.rows, h.cols);
      else if (taken[(place & split_place_mask) / 2])
        error = fmt::format("entry {} has the place of another", entry);
      taken[(place & split_place_mask) / 2] = true;
      const auto parts = element<std::uint32_t>(blob, h.parts, entry);
      if ((parts & 0x7c00u) == 0x7c00u || (parts >> 16 & 0x7c00u) == 0x7c00u)
        error = fmt::format("entry {} is not finite", entry);
      else if ((parts & 0xffffffffu) == 0)
        error = fmt::format("entry {} keeps nothing", entry);
    });
    if (!error.empty()) return error;
  }
  for (std::uint64_t i = 0; i < h.exception_count; ++i) {
    const auto one = element<SplitException>(blob, h.exceptions, i);
    if (one.entry >= 4 * h.quads || one.bits == 0 ||
        (i > 0 && element<SplitException>(blob, h.exceptions, i - 1).entry >= one.entry))
      return fmt::format("exception {} names entry {}", i, one.entry);
  }
  return {};
}

}  // namespace

float split_weight(std::uint32_t parts, std::uint16_t place, std::int32_t exponent) {
  const double sum = static_cast<double>(float_from_fp16(static_cast<std::uint16_t>(parts))) +
                     static_cast<double>(float_from_fp16(static_cast<std::uint16_t>(parts >> 16)));
  const int moved = (place & 1) + (place >> 14) * 2 - 4;
  return std::bit_cast<float>(std::bit_cast<std::uint32_t>(static_cast<float>(std::ldexp(sum, -exponent))) +
                              static_cast<std::uint32_t>(moved));
}

std::string check_split_blocks(Blob blob, std::int64_t, std::int64_t) {
  if (blob.size() < sizeof(SplitBlocksHeader)) return "too few bytes for the header";
  const auto h = read_header<SplitBlocksHeader>(blob);
  if (h.bytes != sizeof(SplitBlocksHeader) || h.rows < 1 || h.cols < 1) return "the header is damaged";
  if (h.panels != (std::int64_t{h.rows} + split_rows - 1) / split_rows ||
      h.k_blocks != (std::int64_t{h.cols} + split_k - 1) / split_k)
    return fmt::format("{} panels of {} K blocks do not cover {}x{}", h.panels, h.k_blocks, h.rows, h.cols);
  const auto panels = static_cast<std::uint64_t>(h.panels), k_blocks = static_cast<std::uint64_t>(h.k_blocks);
  for (const std::uint64_t offset : {h.begin, h.exponents, h.parts, h.places, h.exceptions})
    if (offset < sizeof(SplitBlocksHeader)) return "an array overlaps the header";
  if (h.quads >= std::uint64_t{1} << 30 || !array_fits(blob, h.begin, 2 * panels * k_blocks + 1, 4) ||
      !array_fits(blob, h.exponents, panels * split_rows, 4) || !array_fits(blob, h.parts, h.quads, 16) ||
      !array_fits(blob, h.places, h.quads, 8) ||
      !array_fits(blob, h.exceptions, h.exception_count, sizeof(SplitException)))
    return "an array leaves the blob or is not aligned to 128 bytes";
  for (std::uint64_t r = 0; r < panels * split_rows; ++r)
    if (const auto e = element<std::int32_t>(blob, h.exponents, r); e < -126 || e > 126)
      return fmt::format("row {} has exponent {}", r, e);
  return check_lists(blob, h);
}

void decode_split_blocks(Blob blob, const Visitor& visit) {
  const auto h = read_header<SplitBlocksHeader>(blob);
  const auto k_blocks = static_cast<std::uint64_t>(h.k_blocks);
  std::uint64_t next = 0;  // exception
  for (std::uint64_t list = 0; list < 2 * static_cast<std::uint64_t>(h.panels) * k_blocks; ++list)
    for_each_entry(blob, h, list, [&](std::uint64_t entry) {
      const auto place = element<std::uint16_t>(blob, h.places, entry);
      const auto row = static_cast<std::int64_t>(list / 2 / k_blocks) * split_rows + split_place_row(place);
      const auto col = static_cast<std::int64_t>(list / 2 % k_blocks) * split_k + split_place_col(place);
      const auto exponent = element<std::int32_t>(blob, h.exponents, static_cast<std::uint64_t>(row));
      auto bits = std::bit_cast<std::uint32_t>(
          split_weight(element<std::uint32_t>(blob, h.parts, entry), place, exponent));
      while (next < h.exception_count && element<SplitException>(blob, h.exceptions, next).entry < entry)
        ++next;
      if (next < h.exception_count)
        if (const auto one = element<SplitException>(blob, h.exceptions, next); one.entry == entry)
          bits = one.bits;
      visit(row, col, bits);
    });
}

}  // namespace cross::formats::gpu
