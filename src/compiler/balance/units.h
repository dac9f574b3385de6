// Intra-batch balance: the blocks of one row panel add into the same rows of Y while two kinds of unit work
// side by side; swing blocks go to whichever kind would otherwise wait.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "compiler/partition/partition.h"

namespace cross::compiler {

/// What executes a block: the dense unit (tensor cores) or the sparse unit (CUDA cores). A CPU has one unit
/// that plays both parts in turn.
enum class Unit : std::uint8_t { dense, sparse };

/// One block of a panel, priced on both units (same unit of time; the price on a unit that its band rules out
/// may be `not_available`).
struct UnitBlock {
  Band band = Band::dense;
  double dense_price = 0.0;
  double sparse_price = 0.0;
};

/// How the two units share the machine.
struct UnitModel {
  bool two_units = true;  ///< false: one unit runs the dense blocks, then the sparse ones
  /// Factors (>= 1) by which each unit is slower while the other one works too.
  double dense_slowdown = 1.0;
  double sparse_slowdown = 1.0;
};

struct UnitBalance {
  std::vector<Unit> units;    ///< per block
  double dense_load = 0.0;    ///< T: prices of the blocks on the dense unit
  double sparse_load = 0.0;   ///< C
  double finish = 0.0;        ///< when the panel is done
  double start_finish = 0.0;  ///< the same with every swing block on its cheaper unit
  double all_dense = 0.0;     ///< every block on the dense unit
  std::int64_t moved = 0;     ///< blocks that are not where the start put them
  bool all_dense_start =
      false;  ///< the bands' own assignment lost against all-dense, which was improved instead
};

/// When a panel with load T on the dense and C on the sparse unit is done. Both units start together; while
/// both work, each is slower by its factor; the one that is left finishes at full speed:
///
///     T·s_d <= C·s_s:   finish = T·s_d + (C − T·s_d / s_s)        and symmetrically
///
/// which is max(T, C) without slow-down. With one unit: T + C.
double finish_time(double dense_load, double sparse_load, const UnitModel& model);

/// Assigns the blocks of one panel: dense blocks to the dense unit, sparse blocks to the sparse unit, and
/// swing blocks so that finish_time(T, C) is small. Guaranteed:
///
///   - no single further move of a swing block finishes earlier (by more than rounding),
///   - finish <= start_finish,
///   - finish <= all_dense; where the bands alone would break this (the slow-down can), every block starts
///     on the dense unit, and swing and sparse blocks move to the sparse unit as long as that helps.
///
/// With one unit a swing block takes the cheaper price (ties: dense).
///
/// How: two starts (cheaper unit; the best split of the swing blocks ordered by sparse/dense price, which
/// solves the fractional problem), each improved by single moves, then swaps, until neither helps; the better
/// one wins. O(S log S + rounds · S²) for S swing blocks, with at most S rounds of swaps; deterministic.
/// InternalError for prices that are negative or NaN, or not finite where the block's band may need them; for
/// slow-downs below 1.
UnitBalance balance_units(std::span<const UnitBlock> blocks, const UnitModel& model = {});

}  // namespace cross::compiler
