#include "compiler/partition/partition.h"

#include <fmt/format.h>

#include <cmath>
#include <cstddef>

#include "cross/error.h"

namespace cross::compiler {
namespace {

bool is_price(double value) { return value >= 0.0; }  // false for NaN

void check(const PriceGrid& grid) {
  const bool sizes_fit = grid.rows >= 0 && grid.cols >= 0 && grid.candidates >= 0 &&
                         std::ssize(grid.dense) == grid.rows * grid.cols &&
                         std::ssize(grid.nnz) == grid.rows * grid.cols &&
                         std::ssize(grid.sparse) == grid.rows * grid.cols * grid.candidates;
  if (!sizes_fit) {
    throw InternalError(fmt::format(
        "price grid of {}x{} blocks and {} candidates holds {} dense prices, {} sparse "
        "prices and {} counts",
        grid.rows, grid.cols, grid.candidates, grid.dense.size(), grid.sparse.size(), grid.nnz.size()));
  }
}

Band band_of(double dense, double sparse, double delta) {
  if (std::isinf(sparse)) return Band::dense;
  if (std::isinf(dense)) return Band::sparse;
  // Multiplied out, so that a dense price of zero needs no special case.
  if (sparse > (1.0 + delta) * dense) return Band::dense;
  if (sparse < (1.0 - delta) * dense) return Band::sparse;
  return Band::swing;
}

BlockDecision decide(double dense, std::span<const double> sparse, std::int64_t nnz, double delta) {
  BlockDecision block;
  block.dense_price = dense;
  if (nnz == 0) {
    block.band = Band::sparse;
    block.empty = true;
    return block;
  }
  block.sparse_price = not_available;
  bool valid = is_price(dense);
  for (std::size_t candidate = 0; candidate < sparse.size(); ++candidate) {
    valid = valid && is_price(sparse[candidate]);
    if (sparse[candidate] < block.sparse_price) {
      block.sparse_price = sparse[candidate];
      block.candidate = static_cast<int>(candidate);
    }
  }
  if (!valid) throw InternalError("a block's price is negative or NaN");
  if (std::isinf(dense) && std::isinf(block.sparse_price))
    throw InternalError("a block that no kernel can run");
  block.band = band_of(dense, block.sparse_price, delta);
  return block;
}

}  // namespace

Partition partition(const PriceGrid& grid, double delta) {
  if (!(delta >= 0.0 && delta < 1.0)) {
    throw UsageError(
        fmt::format("the width of the swing band must be at least 0 and below 1, not {}", delta));
  }
  check(grid);
  Partition result{grid.rows, grid.cols, {}, {}};
  result.blocks.reserve(grid.dense.size());
  const auto candidates = static_cast<std::size_t>(grid.candidates);
  for (std::size_t at = 0; at < grid.dense.size(); ++at) {
    const auto sparse = std::span(grid.sparse).subspan(at * candidates, candidates);
    const BlockDecision block = decide(grid.dense[at], sparse, grid.nnz[at], delta);
    switch (block.band) {
      case Band::dense:
        ++result.counts.dense;
        break;
      case Band::swing:
        ++result.counts.swing;
        break;
      case Band::sparse:
        ++result.counts.sparse;
        break;
    }
    if (block.empty) ++result.counts.empty;
    result.blocks.push_back(block);
  }
  return result;
}

}  // namespace cross::compiler
