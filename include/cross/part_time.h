// Where the time of a whole model goes.
#pragma once

#include <string>

namespace cross {

/// Seconds that one part of a model has taken.
struct PartTime {
  std::string name;      ///< "query, key, value", "attention", "norms", …
  bool product = false;  ///< a weight product: what a plan makes faster
  double seconds = 0;
};

}  // namespace cross
