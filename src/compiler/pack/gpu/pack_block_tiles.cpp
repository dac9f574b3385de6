// Packs format block_tiles (src/plan/formats/gpu/block_tiles.h).
#include <algorithm>
#include <array>
#include <limits>
#include <numeric>

#include "compiler/pack/gpu/blob_writer.h"
#include "compiler/pack/gpu/formats.h"
#include "compiler/pack/gpu/kept_rows.h"
#include "cross/error.h"
#include "plan/formats/gpu/block_tiles.h"

namespace cross::compiler {
namespace {

using namespace formats::gpu;

constexpr std::int64_t side = block_tiles_side;

/// Calls f(row, col, bits) for every kept weight of the block, counted from its corner.
template <class F>
void for_each_kept(const MatrixView& weight, DType dtype, std::int64_t panel, std::int64_t column, F f) {
  const std::int64_t row0 = panel * side, col0 = column * side;
  for (std::int64_t r = 0; r < std::min(side, weight.rows - row0); ++r)
    for (std::int64_t c = 0; c < std::min(side, weight.cols - col0); ++c)
      if (const std::uint16_t bits = half_bits(weight, dtype, row0 + r, col0 + c); bits != 0)
        f(static_cast<int>(r), static_cast<int>(c), bits);
}

/// Kept weights of every block of a panel.
std::vector<std::int64_t> count_blocks(const MatrixView& weight, DType dtype, std::int64_t panel) {
  std::vector<std::int64_t> count(static_cast<std::size_t>((weight.cols + side - 1) / side));
  for (std::int64_t column = 0; column < static_cast<std::int64_t>(count.size()); ++column)
    for_each_kept(weight, dtype, panel, column,
                  [&](int, int, std::uint16_t) { ++count[static_cast<std::size_t>(column)]; });
  return count;
}

using Columns = std::vector<std::vector<std::uint32_t>>;  ///< block columns that each panel keeps, ascending

/// Block columns that both keep.
std::size_t shared(const std::vector<std::uint32_t>& a, const std::vector<std::uint32_t>& b) {
  std::size_t count = 0;
  for (std::size_t i = 0, j = 0; i < a.size() && j < b.size();) {
    count += a[i] == b[j] ? 1 : 0;
    const bool first = a[i] <= b[j], second = b[j] <= a[i];
    i += first ? 1 : 0;
    j += second ? 1 : 0;
  }
  return count;
}

/// Panels, those of a pair side by side: the longest that is left and the one that shares the most columns
/// with it. Pairs that load much first, by bytes at 256 tokens: a step four times a block. A panel alone
/// stands last.
std::vector<std::uint32_t> order_panels(const Columns& columns) {
  constexpr std::size_t looked_at = 1024;  // of the panels left: bounds the time
  std::vector<std::uint32_t> left(columns.size());
  std::iota(left.begin(), left.end(), 0u);
  std::stable_sort(left.begin(), left.end(),
                   [&](std::uint32_t a, std::uint32_t b) { return columns[a].size() > columns[b].size(); });
  std::vector<std::array<std::uint32_t, 2>> pairs;
  while (left.size() > 1) {
    std::size_t best = 1, most = 0;
    for (std::size_t i = 1; i < std::min(left.size(), looked_at); ++i)
      if (const std::size_t both = shared(columns[left[0]], columns[left[i]]); both > most) {
        most = both;
        best = i;
      }
    pairs.push_back({left[0], left[best]});
    left.erase(left.begin() + static_cast<std::ptrdiff_t>(best));
    left.erase(left.begin());
  }
  const auto loads = [&](const std::array<std::uint32_t, 2>& pair) {
    const auto &a = columns[pair[0]], &b = columns[pair[1]];
    return 5 * (a.size() + b.size()) - 4 * shared(a, b);
  };
  std::stable_sort(pairs.begin(), pairs.end(),
                   [&](const auto& a, const auto& b) { return loads(a) > loads(b); });
  std::vector<std::uint32_t> order;
  for (const auto& pair : pairs) order.insert(order.end(), pair.begin(), pair.end());
  order.insert(order.end(), left.begin(), left.end());
  return order;
}

/// The steps of every pair: the columns of its panels, merged.
void merge_steps(const Columns& columns, const std::vector<std::uint32_t>& order,
                 std::vector<std::uint32_t>& first_step, std::vector<std::uint32_t>& steps) {
  static const std::vector<std::uint32_t> none;
  first_step = {0};
  for (std::size_t i = 0; i < order.size(); i += 2) {
    const auto& a = columns[order[i]];
    const auto& b = i + 1 < order.size() ? columns[order[i + 1]] : none;
    for (std::size_t j = 0, k = 0; j < a.size() || k < b.size();) {
      const bool first = k == b.size() || (j < a.size() && a[j] <= b[k]);
      const bool second = j == a.size() || (k < b.size() && b[k] <= a[j]);
      steps.push_back(4 * (first ? a[j] : b[k]) + (first ? 1u : 0u) + (second ? 2u : 0u));
      j += first ? 1 : 0;
      k += second ? 1 : 0;
    }
    first_step.push_back(static_cast<std::uint32_t>(steps.size()));
  }
}

}  // namespace

double block_tiles_density(const MatrixView& weight, DType dtype, int threads) {
  std::int64_t stored = 0, all = 0;
#pragma omp parallel for schedule(dynamic) reduction(+ : stored, all) num_threads(threads)
  for (std::int64_t panel = 0; panel < (weight.rows + side - 1) / side; ++panel)
    for (const std::int64_t count : count_blocks(weight, dtype, panel)) {
      stored += count > 0 ? 1 : 0;
      ++all;
    }
  return static_cast<double>(stored) / static_cast<double>(all);
}

std::vector<std::byte> pack_block_tiles(const MatrixView& weight, DType dtype, int threads,
                                        std::int64_t& kept) {
  auto header = begin_header<BlockTilesHeader>(Format::block_tiles, weight);
  header.panels = static_cast<std::int32_t>((weight.rows + side - 1) / side);
  header.k_blocks = static_cast<std::int32_t>((weight.cols + side - 1) / side);
  const auto panels = static_cast<std::size_t>(header.panels);

  Columns columns(panels);
  std::int64_t sum = 0;
#pragma omp parallel for schedule(dynamic) reduction(+ : sum) num_threads(threads)
  for (std::size_t panel = 0; panel < panels; ++panel) {
    const auto count = count_blocks(weight, dtype, static_cast<std::int64_t>(panel));
    for (std::size_t column = 0; column < count.size(); ++column) {
      if (count[column] > 0) columns[panel].push_back(static_cast<std::uint32_t>(column));
      sum += count[column];
    }
  }
  kept = sum;

  std::vector<std::uint32_t> begin(panels + 1), column;
  for (std::size_t panel = 0; panel < panels; ++panel) {
    column.insert(column.end(), columns[panel].begin(), columns[panel].end());
    if (column.size() > std::numeric_limits<std::int32_t>::max())
      throw InternalError("pack: block_tiles holds at most 2^31 blocks");
    begin[panel + 1] = static_cast<std::uint32_t>(column.size());
    header.longest = std::max(header.longest, static_cast<std::int32_t>(columns[panel].size()));
  }
  header.blocks = static_cast<std::int32_t>(column.size());
  const std::vector<std::uint32_t> order = order_panels(columns);
  std::vector<std::uint32_t> first_step, steps;
  merge_steps(columns, order, first_step, steps);
  header.steps = static_cast<std::int32_t>(steps.size());

  BlobWriter writer(sizeof header);
  header.order = writer.append(order);
  header.begin = writer.append(begin);
  header.column = writer.append(column);
  header.first_step = writer.append(first_step);
  header.step = writer.append(steps);
  header.values = writer.reserve<std::byte>(column.size() * block_tiles_block_bytes);
#pragma omp parallel for schedule(dynamic) num_threads(threads)
  for (std::size_t panel = 0; panel < panels; ++panel)
    for (std::uint32_t b = begin[panel]; b < begin[panel + 1]; ++b) {
      std::byte* block = writer.at(header.values) + std::size_t{b} * block_tiles_block_bytes;
      for_each_kept(weight, dtype, static_cast<std::int64_t>(panel), column[b],
                    [&](int row, int col, std::uint16_t bits) {
                      std::memcpy(block + 2 * block_tiles_value_index(row, col), &bits, 2);
                    });
    }
  return writer.finish(header);
}

}  // namespace cross::compiler
