// Partition: which blocks of a weight matrix are worth a sparse kernel, and where one choice ends and the
// next begins. Numbers in, numbers out: this stage knows prices, not matrices or devices.
#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <string_view>
#include <vector>

namespace cross::compiler {

/// Which kernels are worth pricing for a block: dense is clearly cheaper, sparse is clearly cheaper, or they
/// are close.
enum class Band : std::uint8_t { dense, swing, sparse };

constexpr std::string_view name_of(Band band) {
  switch (band) {
    case Band::dense:
      return "dense";
    case Band::swing:
      return "swing";
    case Band::sparse:
      return "sparse";
  }
  return "?";
}

/// A kernel choice: 0, 1, … are the sparse candidates in the order of the caller's list.
inline constexpr int dense_choice = -1;
/// The block holds no nonzeros and is skipped.
inline constexpr int skip_choice = -2;

/// The price of a candidate that cannot run this block.
inline constexpr double not_available = std::numeric_limits<double>::infinity();

/// Prices of a grid of blocks, row-major. All prices of one grid share one unit (usually nanoseconds), are
/// not negative and are not NaN; `not_available` marks a kernel that cannot run a block.
struct PriceGrid {
  std::int64_t rows = 0;          ///< row panels
  std::int64_t cols = 0;          ///< blocks per row panel
  int candidates = 0;             ///< sparse kernels priced
  std::vector<double> dense;      ///< [rows · cols]
  std::vector<double> sparse;     ///< [rows · cols · candidates], the candidates of one block side by side
  std::vector<std::int64_t> nnz;  ///< [rows · cols]
};

/// What was decided for one block.
struct BlockDecision {
  Band band = Band::dense;
  bool empty = false;  ///< no nonzeros: costs nothing, whatever the kernels are priced at
  int candidate =
      skip_choice;  ///< cheapest sparse candidate; skip_choice if the block is empty or none can run
  double dense_price = 0.0;
  double sparse_price = 0.0;  ///< price of `candidate`; 0 if empty, not_available if none can run
};

struct BandCounts {
  std::int64_t dense = 0, swing = 0, sparse = 0;
  std::int64_t empty = 0;  ///< of the sparse ones
};

struct Partition {
  std::int64_t rows = 0, cols = 0;
  std::vector<BlockDecision> blocks;  ///< [rows · cols], row-major
  BandCounts counts;
};

/// Gives every block of the grid its band:
///
///     r = min over candidates of sparse price / dense price
///     band = dense   if r > 1 + delta
///            sparse  if r < 1 − delta
///            swing   between
///
/// Ties between candidates go to the first. A block without nonzeros costs nothing and is sparse. A block
/// that only one kind of kernel can run belongs to that kind; one that none can run is an InternalError, and
/// so is a malformed grid. UsageError unless 0 <= delta < 1. O(blocks · candidates).
Partition partition(const PriceGrid& grid, double delta);

/// A run of neighbouring blocks of one row panel that one kernel handles at once.
struct Segment {
  std::int64_t first = 0;  ///< first block column
  std::int64_t end = 0;    ///< one past the last
  int choice = skip_choice;
  double price = 0.0;  ///< sum of its blocks' prices

  friend bool operator==(const Segment&, const Segment&) = default;
};

struct PanelSegments {
  std::vector<Segment> segments;  ///< in column order, covering the panel without holes
  double price = 0.0;             ///< all segments and all changes
};

/// One row panel as merge_regions sees it: which choices there are and what each block costs under each.
struct PanelPrices {
  std::vector<int> choices;  ///< e.g. {dense_choice, 0, 1, skip_choice}
  std::int64_t blocks = 0;
  std::vector<double> prices;  ///< [blocks · choices.size()]
};

/// Row panel `row` of the grid with the choices dense, every sparse candidate, and skip (free for blocks
/// without nonzeros, not_available for others).
PanelPrices panel_prices(const PriceGrid& grid, std::int64_t row);

/// Chooses a kernel for every block of a panel so that runs of one kernel form segments:
///
///     minimise over c[0..B):   Σ_b price[b][c[b]]  +  switch_cost · |{ b : c[b] ≠ c[b−1] }|
///
/// Exact, by dynamic programming over the blocks, O(blocks · choices). Among equal totals the one that
/// changes later wins, then the earlier choice in `choices`. InternalError if some block has no available
/// choice, or for negative or NaN numbers.
PanelSegments merge_regions(const PanelPrices& panel, double switch_cost);

}  // namespace cross::compiler
