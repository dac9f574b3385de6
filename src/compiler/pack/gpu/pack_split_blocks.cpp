// Packs format split_blocks (src/plan/formats/gpu/split_blocks.h).
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>

#include "compiler/pack/gpu/blob_writer.h"
#include "compiler/pack/gpu/formats.h"
#include "cross/error.h"
#include "plan/formats/gpu/split_blocks.h"

namespace cross::compiler {
namespace {

using namespace formats::gpu;

struct Entry {
  std::uint32_t parts = 0;
  std::uint16_t place = 0;
  std::uint32_t exact = 0;  ///< bits of the weight where parts and place do not give them, else 0
};

float weight_at(const MatrixView& weight, std::int64_t r, std::int64_t c) { return weight.value(r, c); }

/// The largest weight of a row comes below 2^15.
std::int32_t exponent_of(const MatrixView& weight, std::int64_t r) {
  float largest = 0;
  for (std::int64_t c = 0; c < weight.cols; ++c)
    largest = std::max(largest, std::abs(weight_at(weight, r, c)));
  return largest == 0 ? 0 : std::clamp(14 - std::ilogb(largest), -113, 126);
}

Entry entry_of(float w, std::int32_t exponent, std::uint32_t at) {
  const float scaled = std::ldexp(w, exponent);
  const std::uint16_t high = fp16_from_float(scaled);
  std::uint16_t low = fp16_from_float(scaled - float_from_fp16(high));
  // Zero means pruned: what is smaller than both parts can hold keeps its sign alone.
  if (high == 0 && low == 0) low = 1;
  Entry entry;
  entry.parts = static_cast<std::uint32_t>(high) | static_cast<std::uint32_t>(low) << 16;
  const auto bits = std::bit_cast<std::uint32_t>(w);
  entry.exact = bits;
  for (std::uint32_t moved = 0; moved < 8 && entry.exact != 0; ++moved) {
    entry.place = static_cast<std::uint16_t>(at | (moved & 1) | moved >> 1 << 14);
    if (std::bit_cast<std::uint32_t>(split_weight(entry.parts, entry.place, exponent)) == bits)
      entry.exact = 0;
  }
  return entry;
}

/// Deals entries so that what the lanes of a warp write at a time goes to as many banks as can be; fills the
/// last quad.
void deal(std::vector<Entry>& entries) {
  if (entries.empty()) return;
  std::array<std::vector<Entry>, 32> banks;
  for (const Entry& entry : entries) banks[(entry.place & split_place_mask) / 4 % 32].push_back(entry);
  const std::size_t count = entries.size();
  std::array<int, 32> order;
  for (std::size_t first = 0; first < count; first += 128)
    for (std::size_t j = 0; j < 4; ++j) {
      for (int i = 0; i < 32; ++i) order[static_cast<std::size_t>(i)] = i;
      std::stable_sort(order.begin(), order.end(), [&](int a, int b) {
        return banks[static_cast<std::size_t>(a)].size() > banks[static_cast<std::size_t>(b)].size();
      });
      std::size_t lane = 0;
      // Once round the banks that have one, the fullest first; again if lanes are left.
      while (first + 4 * lane + j < count && lane < 32)
        for (const int bank : order) {
          std::vector<Entry>& from = banks[static_cast<std::size_t>(bank)];
          if (from.empty()) continue;
          if (first + 4 * lane + j >= count || lane == 32) break;
          entries[first + 4 * lane++ + j] = from.back();
          from.pop_back();
        }
    }
  while (entries.size() % 4 != 0) {
    const Entry last = entries.back();
    entries.push_back(last);
  }
}

}  // namespace

std::string split_blocks_refuses(const MatrixView& weight) {
  for (std::int64_t r = 0; r < weight.rows; ++r)
    for (std::int64_t c = 0; c < weight.cols; ++c)
      if (!std::isfinite(weight_at(weight, r, c)))
        return fmt::format("the weight at row {}, column {} is not finite", r, c);
  return {};
}

std::vector<std::byte> pack_split_blocks(const MatrixView& weight, int threads, std::int64_t& kept) {
  auto header = begin_header<SplitBlocksHeader>(Format::split_blocks, weight);
  header.panels = static_cast<std::int32_t>((weight.rows + split_rows - 1) / split_rows);
  header.k_blocks = static_cast<std::int32_t>((weight.cols + split_k - 1) / split_k);
  const auto panels = static_cast<std::size_t>(header.panels),
             k_blocks = static_cast<std::size_t>(header.k_blocks);

  std::vector<std::int32_t> exponents(panels * split_rows);
  std::vector<std::vector<Entry>> lists(2 * panels * k_blocks);
  std::int64_t sum = 0;
#pragma omp parallel for schedule(dynamic) reduction(+ : sum) num_threads(threads)
  for (std::size_t panel = 0; panel < panels; ++panel) {
    const auto row0 = static_cast<std::int64_t>(panel) * split_rows;
    for (std::int64_t r = row0; r < std::min(row0 + split_rows, weight.rows); ++r) {
      const std::int32_t exponent = exponents[static_cast<std::size_t>(r)] = exponent_of(weight, r);
      for (std::int64_t c = 0; c < weight.cols; ++c) {
        if (weight.bits(r, c) == 0) continue;
        const auto row = static_cast<int>(r - row0);
        lists[2 * (panel * k_blocks + static_cast<std::size_t>(c / split_k)) +
              static_cast<std::size_t>(row / split_half_rows)]
            .push_back(
                entry_of(weight_at(weight, r, c), exponent, split_place(row, static_cast<int>(c % split_k))));
        ++sum;
      }
    }
    for (std::size_t list = 2 * panel * k_blocks; list < 2 * (panel + 1) * k_blocks; ++list)
      deal(lists[list]);
  }
  kept = sum;

  std::vector<std::uint32_t> begin(lists.size() + 1);
  for (std::size_t list = 0; list < lists.size(); ++list) {
    header.quads += lists[list].size() / 4;
    if (header.quads >= std::uint64_t{1} << 30)
      throw InternalError("pack: split_blocks holds at most 2^32 entries");
    begin[list + 1] = static_cast<std::uint32_t>(header.quads);
  }
  BlobWriter writer(sizeof header);
  header.begin = writer.append(begin);
  header.exponents = writer.append(exponents);
  header.parts = writer.reserve<std::uint32_t>(4 * header.quads);
  header.places = writer.reserve<std::uint16_t>(4 * header.quads);
  std::vector<SplitException> exceptions;
  for (std::size_t list = 0; list < lists.size(); ++list)
    for (std::size_t i = 0; i < lists[list].size(); ++i) {
      const Entry& entry = lists[list][i];
      const std::size_t index = 4 * std::size_t{begin[list]} + i;
      std::memcpy(writer.at(header.parts) + 4 * index, &entry.parts, 4);
      std::memcpy(writer.at(header.places) + 2 * index, &entry.place, 2);
      const bool filling = i > 0 && entry.place == lists[list][i - 1].place;
      if (entry.exact != 0 && !filling)
        exceptions.push_back({static_cast<std::uint32_t>(index), entry.exact});
    }
  header.exception_count = exceptions.size();
  header.exceptions = writer.append(exceptions);
  return writer.finish(header);
}

}  // namespace cross::compiler
