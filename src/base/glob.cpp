#include "base/glob.h"

#include <cstddef>

namespace cross::base {

bool glob_matches(std::string_view pattern, std::string_view name) {
  std::size_t p = 0;
  std::size_t n = 0;
  std::size_t star =
      std::string_view::npos;  // the last `*`, and the first character that it does not yet cover
  std::size_t uncovered = 0;
  while (n < name.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      uncovered = n;
    } else if (p < pattern.size() && (pattern[p] == '?' || pattern[p] == name[n])) {
      ++p;
      ++n;
    } else if (star != std::string_view::npos) {
      // Only the last star needs to give way: what earlier ones cover can always be left as it is.
      p = star + 1;
      n = ++uncovered;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

}  // namespace cross::base
