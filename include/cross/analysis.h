// Analysis: where the zeros of a weight matrix are, and what that makes possible.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cross/dtype.h"
#include "cross/matrix.h"

namespace cross {

struct AnalyseOptions {
  DType plan_dtype = DType::fp32;  ///< type in which the plan will store values; format sizes depend on it
};

/// A set of densities (shares of nonzeros, 0..1). Percentiles are nearest-rank; all zero for an empty set.
struct Distribution {
  double min = 0.0, p10 = 0.0, p50 = 0.0, p90 = 0.0, max = 0.0;
  double mean = 0.0, stddev = 0.0;
};

/// Nonzeros per block of a grid of `block` × `block` positions; blocks at the right and bottom edges are
/// smaller.
struct BlockMap {
  std::int64_t block = 0;
  std::int64_t matrix_rows = 0, matrix_cols = 0;
  std::int64_t rows = 0, cols = 0;  ///< of the grid
  std::vector<std::uint32_t> nnz;   ///< [rows · cols], row-major

  // Over the densities of all blocks, edge blocks counting like others.
  double mean = 0.0, min = 0.0, max = 0.0, stddev = 0.0;
  std::array<std::int64_t, 10>
      histogram{};  ///< blocks with density in [0, 10 %), [10 %, 20 %), …, [90 %, 100 %]

  /// Positions in block (r, c).
  std::int64_t area(std::int64_t r, std::int64_t c) const {
    return std::min(block, matrix_rows - r * block) * std::min(block, matrix_cols - c * block);
  }
  double density(std::int64_t r, std::int64_t c) const {
    return static_cast<double>(nnz[static_cast<std::size_t>(r * cols + c)]) / static_cast<double>(area(r, c));
  }
};

/// Every aligned group of `group` consecutive positions along K holds at most `keep` nonzeros.
struct KeepPerGroup {
  int keep = 0, group = 0;
  double fill = 0.0;    ///< nonzeros per slot that an n_m format stores: density · group / keep
  double chance = 0.0;  ///< probability that an i.i.d. mask of this density has the property too
  bool by_chance =
      false;  ///< chance > 1 %: the property is exact, but says nothing of how the matrix was pruned
};

/// Nonzeros fill whole aligned blocks, nearly.
struct BlockStructure {
  int block_rows = 0, block_cols = 0;
  double fill = 0.0;  ///< nnz / positions of the blocks that hold any
};

/// Does density vary more than an i.i.d. mask would, and how? Decides whether partition and reordering can
/// pay.
enum class Variation : std::uint8_t { uniform, by_region, by_row };

constexpr std::string_view name_of(Variation variation) {
  switch (variation) {
    case Variation::uniform:
      return "uniform";
    case Variation::by_region:
      return "varies by region";
    case Variation::by_row:
      return "varies by row";
  }
  return "?";
}

struct Uniformity {
  Variation verdict = Variation::uniform;
  /// Standard deviation of density beyond what chance explains, as a share of the matrix's density. For rows,
  /// chance is an i.i.d. mask; for regions (64×64 blocks), an i.i.d. mask whose rows differ as these do but
  /// stand in random order, because what such rows do to blocks is undone by sorting them.
  double region_variation = 0.0, row_variation = 0.0;
  /// Observed variance over the variance that chance gives; about 1 if there is nothing but chance.
  double region_dispersion = 1.0, row_dispersion = 1.0;
  std::string reason;
};

/// Bytes of the whole matrix in one storage format.
struct FormatSize {
  std::string name;  ///< dense, bitmap, delta4, tile_index8, index16, n_m, block16x16
  std::int64_t bytes = 0;
};

struct MatrixAnalysis {
  std::int64_t rows = 0, cols = 0, nnz = 0;
  double density = 0.0;  ///< nnz / (rows · cols); 0 without elements
  std::int64_t empty_rows = 0, empty_cols = 0;

  std::array<BlockMap, 3> maps;  ///< blocks of 16, 64 and 128
  std::vector<std::int64_t> row_nnz, col_nnz;
  Distribution row_density, col_density;

  /// Most nonzeros in any aligned group of 4, 8, 16, 32 positions along K.
  std::array<int, 4> most_in_group{};
  std::optional<KeepPerGroup>
      n_m;  ///< tightest exact keep:group with keep < group; by chance only 1:4 or 2:4
  std::optional<BlockStructure> blocks;  ///< largest aligned block with a fill of at least 95 %
  double outside_two_four = 0.0;         ///< Σ over groups of 4 of max(0, nnz − 2), over all positions
  Uniformity uniformity;

  DType plan_dtype = DType::fp32;
  std::vector<FormatSize> sizes;   ///< in the order of FormatSize::name; n_m only where detected
  std::size_t smallest = 0;        ///< index into `sizes`
  std::string smallest_reason;     ///< one sentence
  std::int64_t entropy_bound = 0;  ///< bytes: values plus the entropy of an i.i.d. mask of this density

  double sparsity() const { return 1.0 - density; }
};

/// Studies W[rows, cols]. A position counts as nonzero unless its bits are all zero (−0.0 is a kept value).
///
/// Sizes, with E elements, v bytes per value and 4 bytes per row offset:
///
///     dense        E·v
///     bitmap       rows·⌈cols/8⌉ + nnz·v + 4·rows
///     delta4       (nnz + fillers)·(½ + v) + 4·rows      one filler per 16 zeros in a row before a nonzero
///     tile_index8  nnz·(1 + v) + 2·rows·⌈cols/256⌉
///     index16      nnz·(2 + v) + 4·rows·⌈cols/65536⌉
///     n_m          rows·⌈cols/group⌉·keep·(v + log2(group)/8)
///     block16x16   blocks·(256·v + 4) + 4·block rows
///     bound        nnz·v + E·H(density)/8,  H(d) = −d·log2 d − (1−d)·log2(1−d)
///
/// Reads the weights once, then works on one bit per position. InternalError for negative sizes.
MatrixAnalysis analyse(const MatrixView& weights, const AnalyseOptions& options = {});

}  // namespace cross
