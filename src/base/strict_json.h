// JSON from files that may be hostile.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace cross::base {

/// Parses one JSON value; refuses what the JSON library lets pass: duplicate keys, and nesting deeper than 64
/// (which would overflow the stack of whoever walks the value). `where` starts the message of an error, for
/// example "model.safetensors: the header". Throws InputError.
nlohmann::json parse_strict_json(std::string_view text, std::string_view where);

}  // namespace cross::base
