// Text from files, made safe to show.
#pragma once

#include <string>
#include <string_view>

namespace cross::base {

/// `text` in double quotes for a message: control characters, quotes, backslashes and bytes that are not
/// UTF-8 stand as `\xNN`, so that a hostile name cannot steer a terminal; long text is cut after 120 bytes.
std::string in_quotes(std::string_view text);

/// The same escapes without quotes and without cutting.
std::string printable(std::string_view text);

}  // namespace cross::base
