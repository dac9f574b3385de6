// A strict reader of the markup that the report writes.
#pragma once

#include <string>
#include <string_view>

namespace cross::testing {

/// Empty if `text` is one well-formed XML element (after an optional <!DOCTYPE>): tags close in order,
/// attributes are quoted and not repeated, ids are unique, '<' and '&' stand only where XML allows them, and
/// every byte is a character of XML. Otherwise what is wrong, with its surroundings.
std::string ill_formed(std::string_view text);

}  // namespace cross::testing
