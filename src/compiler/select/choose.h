// Compare: measure the best candidates against dense, and decide.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "cross/plan.h"

namespace cross::compiler {

/// One way of running the layer at every token count, measured or predicted.
struct Option {
  std::string name;
  std::vector<double> us;  ///< per token count
  bool dense = false;
  bool sorted = false;  ///< packed rows stand in the reorder stage's order, not in W's
};

struct Choice {
  std::vector<std::size_t> stored;      ///< options to store, at most `copies`
  std::vector<std::size_t> per_tokens;  ///< option that serves each token count: an element of `stored`
};

/// Dense is left only for a gain that shows again when it is measured again: medians of a few repetitions
/// differ by about this much. Where one copy of the weights serves several token counts, their geometric mean
/// must gain that much, and none may be slower than dense: a count at which the two are level must not cost
/// all others what they would gain.
inline constexpr double leave_dense = 0.97;

/// Chooses at most `copies` options so that no token count is slower than dense and the rest is fastest:
///
///     minimise over S, |S| ≤ copies:  Σ_t log min_{o in S} us(o, t)
///     subject to, for every t:        the fastest of S is dense, or us ≤ us(dense, t)
///                 over the t without: Π us ≤ Π leave_dense · us(dense, t)
///
/// (where dense is in S it serves every t at which no other has us ≤ leave_dense · us(dense, t)) and to one
/// row order: a plan has one per layer, so S never holds a sorted option beside one that is neither sorted
/// nor dense (dense weights stand in W's order whatever the plan's is). Exactly one option is dense; {dense}
/// always qualifies. Ties go to fewer copies, then to the earlier options.
Choice choose(const std::vector<Option>& options, int copies);

}  // namespace cross::compiler
