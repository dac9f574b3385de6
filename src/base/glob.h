// Name patterns of the command line.
#pragma once

#include <string_view>

namespace cross::base {

/// Whether the whole of `name` matches `pattern`: `*` stands for any characters (also dots, also none), `?`
/// for exactly one byte, everything else for itself. Time is at most |pattern| · |name|.
bool glob_matches(std::string_view pattern, std::string_view name);

}  // namespace cross::base
