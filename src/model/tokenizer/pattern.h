// Patterns were written for one library of regular expressions (Oniguruma) and are run by another (ICU).
#pragma once

#include <string>
#include <string_view>

namespace cross::model {

/// What in `pattern` the two read differently, as a user would find it; empty if nothing.
std::string unportable_construct(std::string_view pattern);

/// The same pattern with [\s]* for \s* and xx* for x+, where x is one character or set: of all loops ICU runs
/// those of a set with * in place, and keeps a frame on its stack for every round of the others. Long words
/// would fill it.
std::string with_flat_loops(std::string_view pattern);

}  // namespace cross::model
