// Row order: which rows of W should stand together before it is cut into panels. Undone for free when Y is
// stored.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace cross::compiler {

enum class RowOrderPolicy : std::uint8_t {
  natural,     ///< as stored
  by_density,  ///< densest rows first
  automatic,   ///< by_density where it makes panels clearly more uniform, natural otherwise
};

constexpr std::string_view name_of(RowOrderPolicy policy) {
  switch (policy) {
    case RowOrderPolicy::natural:
      return "natural";
    case RowOrderPolicy::by_density:
      return "by_density";
    case RowOrderPolicy::automatic:
      return "automatic";
  }
  return "?";
}

/// What is known of the rows.
struct RowCounts {
  std::span<const std::int64_t> nnz;  ///< nonzeros per row
  std::int64_t cols = 0;
  /// Optional, one per row: any summary of where a row's nonzeros lie. Rows that are equally dense but for
  /// chance are ordered by it (ascending), so that alike rows meet in one panel.
  std::span<const std::uint64_t> signatures = {};
};

struct RowOrder {
  RowOrderPolicy chosen = RowOrderPolicy::natural;  ///< natural or by_density
  std::vector<std::int64_t> permutation;            ///< permutation[new row] = stored row
  double spread_natural = 0.0;  ///< standard deviation of row density within panels, rows as stored
  double spread_sorted = 0.0;   ///< the same, densest rows first
  double spread_chance = 0.0;   ///< what rows of one density would show by chance (i.i.d. mask)
  std::string reason;           ///< one sentence for `explain`
};

/// Chooses the order in which rows are cut into panels of `panel_rows` rows. With d_i = nnz_i / cols:
///
///     spread(order)² = 1/rows · Σ_panels Σ_{i in panel} (d_i − mean of the panel)²
///     chance²        = d·(1 − d) / cols,                  d = overall density
///
/// `automatic` sorts if the spread as stored is more than 1.5 times chance (else rows differ by chance only)
/// and sorting removes at least a quarter of it. Descending and stable: equal rows keep their order unless
/// signatures say otherwise. InternalError for panel_rows < 1, counts outside 0..cols, or a wrong number of
/// signatures.
RowOrder order_rows(const RowCounts& rows, std::int64_t panel_rows,
                    RowOrderPolicy policy = RowOrderPolicy::automatic);

}  // namespace cross::compiler
