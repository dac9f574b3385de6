// The order in which a CTA of the sparse product works on its part of a row tile: stages of the matrix's own
// columns, and among them further ones, whose X is gathered meanwhile.
#pragma once

namespace cross::kernels::cuda {

/// Pairs of own stages, then an own and a further one, and so on; behind the last further one more pairs of
/// own stages and, where they are odd, a single one. Further stages stand apart, evenly, so that there is
/// time to gather for each; `late` ones in the second half only, so that there is time to turn x before.
/// Where there are more of them than own ones, the rest ends the row tile.
struct SparseStages {
  int first, own;              ///< own stages [first, first + own)
  int further_first, further;  ///< further ones
  int mixed;                   ///< further ones that follow an own one
  int ahead;                   ///< pairs before all of these
  int each, longer;            ///< pairs before every one of these; one more before the first `longer`

  constexpr SparseStages(int own_stages, int further_stages, int split, int splits, bool late = false)
      : first(own_stages * split / splits),
        own(own_stages * (split + 1) / splits - first),
        further_first(further_stages * split / splits),
        further(further_stages * (split + 1) / splits - further_first),
        mixed(0),
        ahead(0),
        each(0),
        longer(0) {
    // A source without further stages must see that none is mixed: two divisions take 400 clocks of every
    // tile.
    if (further > 0) mixed = further < own ? further : own;
    int pairs = (own - mixed) / 2;
    if (late && further > 0) ahead = pairs / 2;
    pairs -= ahead;
    each = pairs / (mixed + 1);
    longer = pairs % (mixed + 1);
  }
  /// Pairs of own stages behind the further stage i - 1 and before i's pair.
  constexpr int pairs_before(int i) const { return (i == 0 ? ahead : 0) + each + (i < longer ? 1 : 0); }
  /// Whether an own stage is left behind those.
  constexpr bool odd() const { return (own - mixed) % 2 != 0; }
  /// Own stages behind the further stage i - 1 and before i.
  constexpr int own_before(int i) const {
    return i > mixed ? 0 : 2 * pairs_before(i) + (i < mixed || odd() ? 1 : 0);
  }
};

}  // namespace cross::kernels::cuda
