#include <algorithm>
#include <bit>
#include <cmath>

#include "compiler/analyse/passes.h"

namespace cross::compiler {
namespace {

constexpr std::array<int, 4> groups = {4, 8, 16, 32};
/// An exact keep:group that i.i.d. masks of this density show more often than this says nothing.
constexpr double chance_limit = 0.01;
constexpr double block_fill = 0.95;

/// Largest count in any of the lanes of `bits` bits.
int most_in_lanes(std::uint64_t lanes, int bits) {
  const std::uint64_t mask = (std::uint64_t{1} << bits) - 1;
  std::uint64_t most = 0;
  for (; lanes != 0; lanes >>= bits) most = std::max(most, lanes & mask);
  return static_cast<int>(most);
}

struct Groups {
  std::array<int, 4> most{};
  std::int64_t beyond_two_of_four = 0;
};

Groups count_groups(const Occupancy& bits) {
  Groups result;
  std::uint64_t any_four =
      0;  // every count of a group of 4 that occurred, or-ed: bit 2 means 4, bits 1 and 0 as such
  bool three = false;
  for (std::int64_t r = 0; r < bits.rows(); ++r) {
    for (const std::uint64_t word : bits.row(r)) {
      if (word == 0) continue;
      std::uint64_t twos = word - ((word >> 1) & 0x5555555555555555u);
      const std::uint64_t fours = (twos & 0x3333333333333333u) + ((twos >> 2) & 0x3333333333333333u);
      const std::uint64_t threes = fours & (fours >> 1) & 0x1111111111111111u;
      any_four |= fours;
      three = three || threes != 0;
      result.beyond_two_of_four += std::popcount(threes) + 2 * std::popcount(fours & 0x4444444444444444u);
      const std::uint64_t eights = (fours + (fours >> 4)) & 0x0f0f0f0f0f0f0f0fu;
      // A full group cannot be exceeded, so a dense matrix costs no more than its first rows.
      if (result.most[1] < 8) result.most[1] = std::max(result.most[1], most_in_lanes(eights, 8));
      if (result.most[2] < 16 || result.most[3] < 32) {
        const std::uint64_t sixteens = counts_of_16(word);
        result.most[2] = std::max(result.most[2], most_in_lanes(sixteens, 16));
        const std::uint64_t halves = (sixteens + (sixteens >> 16)) & 0x0000003f0000003fu;
        result.most[3] = std::max(result.most[3], most_in_lanes(halves, 32));
      }
    }
  }
  const auto occurs = [&](std::uint64_t bit) { return (any_four & (bit * 0x1111111111111111u)) != 0; };
  result.most[0] = occurs(4) ? 4 : three ? 3 : occurs(2) ? 2 : occurs(1) ? 1 : 0;
  return result;
}

/// P(an i.i.d. mask of `density` holds at most `keep` nonzeros in each of `count` groups of `group`).
double chance_of(int keep, int group, double density, double count) {
  if (density >= 1.0) return 0.0;
  double too_many = 0.0;  // P(more than keep), summed from the tail so that tiny probabilities survive
  for (int k = keep + 1; k <= group; ++k) {
    const double log_ways = std::lgamma(group + 1.0) - std::lgamma(k + 1.0) - std::lgamma(group - k + 1.0);
    too_many += std::exp(log_ways + k * std::log(density) + (group - k) * std::log1p(-density));
  }
  return too_many >= 1.0 ? 0.0 : std::exp(count * std::log1p(-too_many));
}

std::optional<KeepPerGroup> tightest(const MatrixAnalysis& result) {
  std::optional<KeepPerGroup> best;
  const auto better = [](const KeepPerGroup& a, const KeepPerGroup& b) {
    if (a.by_chance != b.by_chance) return b.by_chance;
    return a.keep * b.group <
           b.keep * a.group;  // as shares; equal shares: the smaller group, which came first
  };
  for (std::size_t g = 0; g < groups.size(); ++g) {
    const int keep = result.most_in_group[g];
    const int group = groups[g];
    // A row shorter than a group shows nothing: the positions that would fill it do not exist.
    if (keep == 0 || keep >= group || result.cols < group) continue;
    KeepPerGroup found{keep, group, result.density * group / keep, 0.0, false};
    const std::int64_t per_row = (result.cols + group - 1) / group;
    found.chance = chance_of(keep, group, result.density, static_cast<double>(result.rows * per_row));
    found.by_chance = found.chance > chance_limit;
    // A loose property that chance gives is no news; one of at most 2:4 can be used, wherever it comes from.
    if (found.by_chance && (group != 4 || keep > 2)) continue;
    if (!best || better(found, *best)) best = found;
  }
  return best;
}

/// Positions of the aligned blocks of `1 << log_cols` columns that hold any set bit, in one (or-ed) row of
/// words.
std::int64_t occupied_cols(std::span<const std::uint64_t> row, int log_cols, std::int64_t cols) {
  constexpr std::array<std::uint64_t, 7> firsts = {~std::uint64_t{0},
                                                   0x5555555555555555u,
                                                   0x1111111111111111u,
                                                   0x0101010101010101u,
                                                   0x0001000100010001u,
                                                   0x0000000100000001u,
                                                   1u};
  std::int64_t blocks = 0;
  for (std::uint64_t word : row) {
    for (int step = 0; step < log_cols; ++step) word |= word >> (1 << step);
    blocks += std::popcount(word & firsts[static_cast<std::size_t>(log_cols)]);
  }
  const std::int64_t width = std::int64_t{1} << log_cols;
  const std::int64_t last_first = (cols - 1) / width * width;
  const std::uint64_t last = row.back() >> (last_first % 64);
  const std::int64_t missing = last != 0 ? last_first + width - cols : 0;
  return blocks * width - missing;
}

std::optional<BlockStructure> largest_block(const Occupancy& bits, const MatrixAnalysis& result) {
  if (result.nnz == 0 || result.density >= block_fill) return std::nullopt;
  std::array<std::array<std::int64_t, 7>, 7> area{};  // [log2 rows][log2 cols]
  std::vector<std::uint64_t> merged(bits.words_per_row());
  for (int log_rows = 0; log_rows < 7; ++log_rows) {
    const std::int64_t height = std::int64_t{1} << log_rows;
    for (std::int64_t first = 0; first < bits.rows(); first += height) {
      const std::int64_t end = std::min(first + height, bits.rows());
      std::fill(merged.begin(), merged.end(), 0);
      for (std::int64_t r = first; r < end; ++r) {
        const auto row = bits.row(r);
        for (std::size_t w = 0; w < merged.size(); ++w) merged[w] |= row[w];
      }
      for (int log_cols = 0; log_cols < 7; ++log_cols) {
        area[static_cast<std::size_t>(log_rows)][static_cast<std::size_t>(log_cols)] +=
            (end - first) * occupied_cols(merged, log_cols, bits.cols());
      }
    }
  }
  std::optional<BlockStructure> best;
  for (int log_rows = 0; log_rows < 7; ++log_rows) {
    for (int log_cols = 0; log_cols < 7; ++log_cols) {
      if (log_rows + log_cols == 0) continue;
      const double fill =
          static_cast<double>(result.nnz) /
          static_cast<double>(area[static_cast<std::size_t>(log_rows)][static_cast<std::size_t>(log_cols)]);
      const BlockStructure found{1 << log_rows, 1 << log_cols, fill};
      if (fill < block_fill || found.block_rows > bits.rows() || found.block_cols > bits.cols()) continue;
      const int size = best ? best->block_rows * best->block_cols : 0;
      const int found_size = found.block_rows * found.block_cols;
      if (found_size > size || (found_size == size && fill > best->fill)) best = found;
    }
  }
  return best;
}

}  // namespace

void find_structure(const Occupancy& bits, MatrixAnalysis& result) {
  if (result.rows == 0 || result.cols == 0) return;
  const Groups found = count_groups(bits);
  result.most_in_group = found.most;
  result.outside_two_four = static_cast<double>(found.beyond_two_of_four) /
                            (static_cast<double>(result.rows) * static_cast<double>(result.cols));
  result.n_m = tightest(result);
  result.blocks = largest_block(bits, result);
}

}  // namespace cross::compiler
