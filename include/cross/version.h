#pragma once

#include <string_view>

namespace cross {

/// "0.1.0"
std::string_view version();

}  // namespace cross
