#include <algorithm>
#include <bit>
#include <cmath>
#include <numeric>

#include "compiler/analyse/passes.h"

namespace cross::compiler {
namespace {

Distribution distribution_of(std::span<const std::int64_t> nnz, std::int64_t positions) {
  Distribution result;
  if (nnz.empty() || positions == 0) return result;
  std::vector<std::int64_t> sorted(nnz.begin(), nnz.end());
  std::sort(sorted.begin(), sorted.end());
  const auto count = static_cast<double>(sorted.size());
  const auto density = [&](std::int64_t value) {
    return static_cast<double>(value) / static_cast<double>(positions);
  };
  const auto percentile = [&](double share) {
    const auto rank = static_cast<std::size_t>(std::ceil(share * count));
    return density(sorted[std::max<std::size_t>(rank, 1) - 1]);
  };
  result.min = density(sorted.front());
  result.p10 = percentile(0.1);
  result.p50 = percentile(0.5);
  result.p90 = percentile(0.9);
  result.max = density(sorted.back());
  result.mean = density(std::accumulate(sorted.begin(), sorted.end(), std::int64_t{0})) / count;
  double squares = 0.0;
  for (const std::int64_t value : sorted) squares += std::pow(density(value) - result.mean, 2);
  result.stddev = std::sqrt(squares / count);
  return result;
}

/// Counts set bits per bit position over many words: 64 counters of 8 bits, bit-sliced into 8 planes, so that
/// adding a word is a ripple of a few word operations instead of one addition per set bit.
class BitCounters {
 public:
  void add(std::uint64_t word) {
    for (std::uint64_t& plane : planes_) {
      if (word == 0) return;
      const std::uint64_t carry = plane & word;
      plane ^= word;
      word = carry;
    }
  }
  /// Adds the counters to totals[0..totals.size()) and clears them. Due after at most 255 words.
  void flush(std::span<std::int64_t> totals) {
    for (std::size_t bit = 0; bit < totals.size(); ++bit) {
      for (std::size_t p = 0; p < planes_.size(); ++p) {
        totals[bit] += static_cast<std::int64_t>((planes_[p] >> bit & 1u) << p);
      }
    }
    planes_ = {};
  }

 private:
  std::array<std::uint64_t, 8> planes_{};
};

void count_rows_and_cols(const Occupancy& bits, MatrixAnalysis& result) {
  result.row_nnz.assign(static_cast<std::size_t>(bits.rows()), 0);
  result.col_nnz.assign(static_cast<std::size_t>(bits.cols()), 0);
  std::vector<BitCounters> counters(bits.words_per_row());
  const auto flush = [&] {
    for (std::size_t w = 0; w < counters.size(); ++w) {
      counters[w].flush(std::span(result.col_nnz)
                            .subspan(w * 64, std::min<std::size_t>(64, result.col_nnz.size() - w * 64)));
    }
  };
  for (std::int64_t r = 0; r < bits.rows(); ++r) {
    const auto row = bits.row(r);
    std::int64_t nnz = 0;
    for (std::size_t w = 0; w < row.size(); ++w) {
      nnz += std::popcount(row[w]);
      counters[w].add(row[w]);
    }
    result.row_nnz[static_cast<std::size_t>(r)] = nnz;
    result.nnz += nnz;
    if (r % 255 == 254) flush();
  }
  flush();
}

BlockMap empty_map(const Occupancy& bits, std::int64_t block) {
  BlockMap map;
  map.block = block;
  map.matrix_rows = bits.rows();
  map.matrix_cols = bits.cols();
  map.rows = (bits.rows() + block - 1) / block;
  map.cols = (bits.cols() + block - 1) / block;
  map.nnz.assign(static_cast<std::size_t>(map.rows * map.cols), 0);
  return map;
}

BlockMap blocks_of_16(const Occupancy& bits) {
  BlockMap map = empty_map(bits, 16);
  std::vector<std::uint64_t> lanes(bits.words_per_row());  // 16 rows of 16 positions: 256 fits a 16-bit lane
  for (std::int64_t block_row = 0; block_row < map.rows; ++block_row) {
    std::fill(lanes.begin(), lanes.end(), 0);
    for (std::int64_t r = block_row * 16; r < std::min(bits.rows(), block_row * 16 + 16); ++r) {
      const auto row = bits.row(r);
      for (std::size_t w = 0; w < row.size(); ++w) lanes[w] += counts_of_16(row[w]);
    }
    for (std::int64_t c = 0; c < map.cols; ++c) {
      const std::uint64_t lane = lanes[static_cast<std::size_t>(c / 4)] >> (16 * (c % 4)) & 0xffffu;
      map.nnz[static_cast<std::size_t>(block_row * map.cols + c)] = static_cast<std::uint32_t>(lane);
    }
  }
  return map;
}

BlockMap coarser(const Occupancy& bits, const BlockMap& fine, std::int64_t block) {
  BlockMap map = empty_map(bits, block);
  const std::int64_t step = block / fine.block;
  for (std::int64_t r = 0; r < fine.rows; ++r) {
    for (std::int64_t c = 0; c < fine.cols; ++c) {
      map.nnz[static_cast<std::size_t>(r / step * map.cols + c / step)] +=
          fine.nnz[static_cast<std::size_t>(r * fine.cols + c)];
    }
  }
  return map;
}

void summarise(BlockMap& map) {
  if (map.nnz.empty()) return;
  map.min = 1.0;
  double sum = 0.0, squares = 0.0;
  for (std::int64_t r = 0; r < map.rows; ++r) {
    for (std::int64_t c = 0; c < map.cols; ++c) {
      const double density = map.density(r, c);
      map.min = std::min(map.min, density);
      map.max = std::max(map.max, density);
      sum += density;
      squares += density * density;
      // In whole numbers, so that a density of exactly 30 % is in the bin that starts there.
      const std::int64_t tenth =
          map.nnz[static_cast<std::size_t>(r * map.cols + c)] * std::int64_t{10} / map.area(r, c);
      ++map.histogram[static_cast<std::size_t>(std::min<std::int64_t>(tenth, 9))];
    }
  }
  const auto count = static_cast<double>(map.nnz.size());
  map.mean = sum / count;
  map.stddev = std::sqrt(std::max(0.0, squares / count - map.mean * map.mean));
}

}  // namespace

void count(const Occupancy& bits, MatrixAnalysis& result) {
  result.rows = bits.rows();
  result.cols = bits.cols();
  count_rows_and_cols(bits, result);
  const std::int64_t elements = result.rows * result.cols;
  result.density = elements == 0 ? 0.0 : static_cast<double>(result.nnz) / static_cast<double>(elements);
  result.empty_rows = std::count(result.row_nnz.begin(), result.row_nnz.end(), 0);
  result.empty_cols = std::count(result.col_nnz.begin(), result.col_nnz.end(), 0);
  result.row_density = distribution_of(result.row_nnz, result.cols);
  result.col_density = distribution_of(result.col_nnz, result.rows);
  result.maps[0] = blocks_of_16(bits);
  result.maps[1] = coarser(bits, result.maps[0], 64);
  result.maps[2] = coarser(bits, result.maps[1], 128);
  for (BlockMap& map : result.maps) summarise(map);
}

}  // namespace cross::compiler
