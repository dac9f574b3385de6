// Packs format two_four (src/plan/formats/gpu/two_four.h).
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "compiler/pack/gpu/blob_writer.h"
#include "compiler/pack/gpu/formats.h"
#include "compiler/pack/gpu/kept_rows.h"
#include "cross/error.h"
#include "plan/formats/gpu/two_four.h"

namespace cross::compiler {
namespace {

using namespace formats::gpu;

/// The kept weights of one group of four columns as two slots.
struct Group {
  std::array<std::uint16_t, 2> value{};
  std::uint32_t nibble = 0;
  int kept = 0;
};

/// @param bits  of four columns, zero where pruned and past the last; the first two kept are taken
Group choose_slots(const std::array<std::uint16_t, 4>& bits) {
  Group group;
  std::array<std::uint32_t, 2> at{};
  for (std::uint32_t c = 0; c < 4; ++c) {
    if (bits[c] == 0) continue;
    if (group.kept < 2) {
      at[static_cast<std::size_t>(group.kept)] = c;
      group.value[static_cast<std::size_t>(group.kept)] = bits[c];
    }
    ++group.kept;
  }
  if (group.kept == 0) at = {0, 1};
  if (group.kept == 1) {
    if (at[0] == 3) {
      at = {2, 3};
      std::swap(group.value[0], group.value[1]);
    } else {
      at[1] = at[0] + 1;
    }
  }
  group.nibble = at[0] + 4 * at[1];
  return group;
}

std::array<std::uint16_t, 4> group_bits(const MatrixView& weight, DType dtype, std::int64_t row,
                                        std::int64_t col) {
  std::array<std::uint16_t, 4> bits{};
  for (std::int64_t c = 0; c < 4 && col + c < weight.cols; ++c)
    bits[static_cast<std::size_t>(c)] = half_bits(weight, dtype, row, col + c);
  return bits;
}

}  // namespace

std::string two_four_refuses(const MatrixView& weight, DType dtype) {
  // Most matrices break the pattern in their first row.
  for (std::int64_t row = 0; row < weight.rows; ++row)
    for (std::int64_t col = 0; col < weight.cols; col += 4)
      if (const int kept = choose_slots(group_bits(weight, dtype, row, col)).kept; kept > 2)
        return fmt::format("row {} keeps {} of columns {} to {}; 2:4 allows 2", row, kept, col,
                           std::min(col + 3, weight.cols - 1));
  return {};
}

std::vector<std::byte> pack_two_four(const MatrixView& weight, DType dtype, int threads, std::int64_t& kept) {
  TwoFourHeader header;
  header.format = static_cast<std::uint32_t>(Format::two_four);
  header.bytes = sizeof header;
  header.rows = static_cast<std::int32_t>(weight.rows);
  header.cols = static_cast<std::int32_t>(weight.cols);
  header.panels = static_cast<std::int32_t>((weight.rows + two_four_rows - 1) / two_four_rows);
  header.k_blocks = static_cast<std::int32_t>((weight.cols + two_four_cols - 1) / two_four_cols);
  BlobWriter writer(sizeof header);
  const std::size_t panel_bytes = static_cast<std::size_t>(header.k_blocks) * two_four_block_bytes;
  header.blocks = writer.reserve<std::byte>(static_cast<std::size_t>(header.panels) * panel_bytes);
  std::byte* blocks = writer.at(header.blocks);

  std::int64_t sum = 0;
#pragma omp parallel for schedule(static) reduction(+ : sum) num_threads(threads)
  for (std::int32_t panel = 0; panel < header.panels; ++panel)
    for (std::int32_t k_block = 0; k_block < header.k_blocks; ++k_block) {
      std::array<std::uint16_t, two_four_metadata_at / 2> values{};
      std::array<std::uint32_t, 32 * two_four_steps> metadata{};
      for (int r = 0; r < two_four_rows; ++r)
        for (int g = 0; g < two_four_cols / 4; ++g) {
          const std::int64_t row = std::int64_t{panel} * two_four_rows + r;
          const std::int64_t col = std::int64_t{k_block} * two_four_cols + 4 * g;
          const Group group = row < weight.rows && col < weight.cols
                                  ? choose_slots(group_bits(weight, dtype, row, col))
                                  : choose_slots({});
          const auto at = static_cast<std::size_t>(two_four_value_index(r, g));
          values[at] = group.value[0];
          values[at + 1] = group.value[1];
          metadata[static_cast<std::size_t>(two_four_word_index(r, g))] |= group.nibble
                                                                           << two_four_shift(r, g);
          sum += group.kept;
        }
      std::byte* block = blocks + static_cast<std::size_t>(panel) * panel_bytes +
                         static_cast<std::size_t>(k_block) * two_four_block_bytes;
      std::memcpy(block, values.data(), two_four_metadata_at);
      std::memcpy(block + two_four_metadata_at, metadata.data(), sizeof metadata);
    }
  kept = sum;
  return writer.finish(header);
}

}  // namespace cross::compiler
