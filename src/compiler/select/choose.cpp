#include "compiler/select/choose.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "cross/error.h"

namespace cross::compiler {
namespace {

/// The best option of a set for one token count. Where dense is at hand it is left for a clear gain only.
std::size_t best_of(const std::vector<Option>& options, const std::vector<std::size_t>& set, std::size_t t) {
  const auto us = [&](std::size_t o) { return options[o].us[t] * (options[o].dense ? leave_dense : 1.0); };
  return *std::min_element(set.begin(), set.end(),
                           [&](std::size_t a, std::size_t b) { return us(a) < us(b); });
}

/// Whether one row order serves all options of a set.
bool one_row_order(const std::vector<Option>& options, const std::vector<std::size_t>& set) {
  bool sorted = false, natural = false;
  for (const std::size_t o : set)
    if (!options[o].dense) (options[o].sorted ? sorted : natural) = true;
  return !sorted || !natural;
}

}  // namespace

Choice choose(const std::vector<Option>& options, int copies) {
  const auto dense = std::find_if(options.begin(), options.end(), [](const Option& o) { return o.dense; });
  if (dense == options.end()) throw InternalError("choose: no dense option");
  if (options.size() > 16) throw InternalError("choose: too many options to enumerate");
  const std::size_t counts = dense->us.size();

  Choice best;
  double best_score = std::numeric_limits<double>::infinity();
  // Subsets in order of size, so that ties keep fewer copies.
  for (int size = 1; size <= copies; ++size) {
    for (unsigned subset = 1; subset < (1u << options.size()); ++subset) {
      if (__builtin_popcount(subset) != size) continue;
      Choice choice;
      for (std::size_t o = 0; o < options.size(); ++o)
        if ((subset >> o) & 1u) choice.stored.push_back(o);
      if (!one_row_order(options, choice.stored)) continue;
      double score = 0, gain = 0;  // gain: logarithms of what is won over dense where dense is left
      bool loses = false;
      for (std::size_t t = 0; t < counts; ++t) {
        const std::size_t option = best_of(options, choice.stored, t);
        if (!options[option].dense) {
          loses = loses || options[option].us[t] > dense->us[t];
          gain += std::log(dense->us[t] / std::max(options[option].us[t], 1e-9)) + std::log(leave_dense);
        }
        score += std::log(std::max(options[option].us[t], 1e-9));
        choice.per_tokens.push_back(option);
      }
      // Another copy of the weights must pay: 1 % per token count.
      const double margin = size > 1 ? 0.01 * static_cast<double>(counts) : 0.0;
      if (loses || gain < -1e-12 || score + margin >= best_score) continue;
      best_score = score;
      best = std::move(choice);
    }
  }
  // A stored option that serves no token count would only cost memory.
  std::erase_if(best.stored, [&](std::size_t o) {
    return std::find(best.per_tokens.begin(), best.per_tokens.end(), o) == best.per_tokens.end();
  });
  return best;
}

}  // namespace cross::compiler
