// Packs format column_vectors (src/plan/formats/gpu/column_vectors.h).
#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>
#include <numeric>
#include <vector>

#include "compiler/pack/gpu/blob_writer.h"
#include "compiler/pack/gpu/formats.h"
#include "compiler/pack/gpu/kept_rows.h"
#include "cross/error.h"
#include "plan/formats/gpu/column_vectors.h"

namespace cross::compiler {
namespace {

using namespace formats::gpu;

constexpr int bank_groups = 8;  ///< of 16 bytes: what shared memory gives at a time
constexpr int group_slots = 8;  ///< of a step's, read together

/// The columns of a panel in which one of its rows keeps something, ascending.
std::vector<std::int32_t> kept_columns(const MatrixView& weight, DType dtype, std::int64_t panel) {
  std::vector<std::uint8_t> keeps(static_cast<std::size_t>(weight.cols));
  const std::int64_t row0 = panel * column_vector_rows;
  for (std::int64_t r = row0; r < std::min(row0 + column_vector_rows, weight.rows); ++r)
    for (std::int64_t c = 0; c < weight.cols; ++c)
      if (half_bits(weight, dtype, r, c) != 0) keeps[static_cast<std::size_t>(c)] = 1;
  std::vector<std::int32_t> cols;
  for (std::int64_t c = 0; c < weight.cols; ++c)
    if (keeps[static_cast<std::size_t>(c)] != 0) cols.push_back(static_cast<std::int32_t>(c));
  return cols;
}

/// Eight slots that are read together: a load takes as long as its fullest bank group.
struct SlotGroup {
  std::vector<int> cols;
  std::array<int, bank_groups> in_bank{};
  int fullest = 0;

  void add(int col) {
    fullest = std::max(fullest, ++in_bank[static_cast<std::size_t>(col % bank_groups)]);
    cols.push_back(col);
  }
  /// What adding a column of `bank` costs: a longer load first of all, then others' places.
  int cost(int bank) const {
    const int there = in_bank[static_cast<std::size_t>(bank)];
    return (there == fullest ? 1000 : 0) + 100 * there + 10 * static_cast<int>(cols.size());
  }
  /// Left-over slots: columns of the emptiest bank groups, as far as the block has them.
  void fill(int block_cols) {
    while (cols.size() < group_slots) {
      const auto bank = static_cast<int>(std::min_element(in_bank.begin(), in_bank.end()) - in_bank.begin());
      ++in_bank[static_cast<std::size_t>(bank)];
      cols.push_back(bank < block_cols ? bank : 0);
    }
  }
};

/// Deals a block's columns to the groups of its steps, those of the fullest bank group first, so that the
/// columns of every group lie in as many bank groups as possible. Left-over slots come out with their column
/// and `false`.
struct Slot {
  int col;
  bool kept;
};
std::vector<Slot> deal(const std::vector<int>& cols, int block_cols) {
  const std::size_t steps = (cols.size() + column_vector_slots - 1) / column_vector_slots;
  std::vector<SlotGroup> groups(steps * (column_vector_slots / group_slots));
  std::array<std::vector<int>, bank_groups> banks;
  for (const int col : cols) banks[static_cast<std::size_t>(col % bank_groups)].push_back(col);
  std::stable_sort(banks.begin(), banks.end(),
                   [](const auto& a, const auto& b) { return a.size() > b.size(); });
  for (const std::vector<int>& bank : banks)
    for (const int col : bank) {
      SlotGroup* best = nullptr;
      for (SlotGroup& group : groups)
        if (group.cols.size() < group_slots &&
            (best == nullptr || group.cost(col % bank_groups) < best->cost(col % bank_groups)))
          best = &group;
      best->add(col);
    }
  std::vector<Slot> slots;
  for (SlotGroup& group : groups) {
    const std::size_t kept = group.cols.size();
    group.fill(block_cols);
    for (std::size_t i = 0; i < group.cols.size(); ++i) slots.push_back({group.cols[i], i < kept});
  }
  return slots;
}

/// Calls f(block, columns of the block counted from its first) for every block of a panel.
template <class F>
void for_each_block(const ColumnVectorsHeader& h, const std::vector<std::int32_t>& cols, F f) {
  auto at = cols.begin();
  for (std::int32_t block = 0; block < h.blocks; ++block) {
    std::vector<int> here;
    const std::int64_t first = std::int64_t{block} * h.block_cols;
    for (; at != cols.end() && *at < first + h.block_cols; ++at)
      here.push_back(static_cast<int>(*at - first));
    f(block, here);
  }
}

}  // namespace

double column_vectors_density(const MatrixView& weight, DType dtype, int threads) {
  const std::int64_t panels = column_vector_panels(weight.rows);
  std::int64_t sum = 0;
#pragma omp parallel for schedule(dynamic) reduction(+ : sum) num_threads(threads)
  for (std::int64_t panel = 0; panel < panels; ++panel)
    sum += static_cast<std::int64_t>(kept_columns(weight, dtype, panel).size());
  return static_cast<double>(sum) / (static_cast<double>(panels) * static_cast<double>(weight.cols));
}

std::vector<std::byte> pack_column_vectors(const MatrixView& weight, DType dtype, int threads,
                                           std::int64_t& kept) {
  auto header = begin_header<ColumnVectorsHeader>(Format::column_vectors, weight);
  header.panels = static_cast<std::int32_t>(column_vector_panels(weight.rows));
  // Blocks of equal size.
  const std::int64_t blocks = (weight.cols + column_vector_most_cols - 1) / column_vector_most_cols;
  header.block_cols = static_cast<std::int32_t>(((weight.cols + blocks - 1) / blocks + 7) / 8 * 8);
  header.blocks = static_cast<std::int32_t>((weight.cols + header.block_cols - 1) / header.block_cols);

  std::vector<std::vector<std::int32_t>> cols(static_cast<std::size_t>(header.panels));
#pragma omp parallel for schedule(dynamic) num_threads(threads)
  for (std::int32_t panel = 0; panel < header.panels; ++panel)
    cols[static_cast<std::size_t>(panel)] = kept_columns(weight, dtype, panel);
  std::vector<std::uint32_t> begin;
  std::uint64_t steps = 0;
  for (const auto& of_panel : cols)
    for_each_block(header, of_panel, [&](std::int32_t, const std::vector<int>& here) {
      begin.push_back(static_cast<std::uint32_t>(steps));
      steps += (here.size() + column_vector_slots - 1) / column_vector_slots;
      header.columns += here.size();
    });
  if (steps > std::numeric_limits<std::uint32_t>::max() - column_vector_ahead)
    throw InternalError("pack: column_vectors holds at most 2^32 steps");
  begin.push_back(static_cast<std::uint32_t>(steps));
  header.steps = static_cast<std::uint32_t>(steps);

  BlobWriter writer(sizeof header);
  header.begin = writer.append(begin);
  const std::size_t there = header.steps + std::size_t{column_vector_ahead};
  header.place = writer.reserve<std::uint16_t>(there * column_vector_slots);
  header.weights = writer.reserve<std::uint16_t>(there * column_vector_values);
  auto* const place = reinterpret_cast<std::uint16_t*>(writer.at(header.place));
  auto* const weights = reinterpret_cast<std::uint16_t*>(writer.at(header.weights));
  std::int64_t sum = 0;
#pragma omp parallel for schedule(dynamic) reduction(+ : sum) num_threads(threads)
  for (std::int32_t panel = 0; panel < header.panels; ++panel) {
    const std::int64_t row0 = std::int64_t{panel} * column_vector_rows;
    const auto rows = static_cast<int>(std::min<std::int64_t>(column_vector_rows, weight.rows - row0));
    for_each_block(
        header, cols[static_cast<std::size_t>(panel)], [&](std::int32_t block, const std::vector<int>& here) {
          const std::int64_t first = std::int64_t{block} * header.block_cols;
          const std::vector<Slot> slots =
              deal(here, static_cast<int>(std::min<std::int64_t>(header.block_cols, weight.cols - first)));
          std::size_t step = begin[static_cast<std::size_t>(panel) * static_cast<std::size_t>(header.blocks) +
                                   static_cast<std::size_t>(block)];
          for (std::size_t i = 0; i < slots.size(); ++i) {
            if (i > 0 && i % column_vector_slots == 0) ++step;
            const auto slot = static_cast<int>(i % column_vector_slots);
            const auto [col, keeps] = slots[i];
            place[step * column_vector_slots + static_cast<std::size_t>(slot)] =
                static_cast<std::uint16_t>(8 * col + col % bank_groups);
            for (int row = 0; keeps && row < rows; ++row) {
              const std::uint16_t bits = half_bits(weight, dtype, row0 + row, first + col);
              weights[step * column_vector_values + static_cast<std::size_t>(column_vector_at(row, slot))] =
                  bits;
              sum += bits != 0 ? 1 : 0;
            }
          }
        });
  }
  kept = sum;
  return writer.finish(header);
}

}  // namespace cross::compiler
