// Byte-level BPE from tokenizer.json.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "model/tokenizer/byte_pairs.h"

namespace cross::model {

/// Whether a parsed tokenizer.json decodes bytes of the byte-level alphabet.
bool is_byte_level(const nlohmann::json& tokenizer);

/// From a parsed tokenizer.json. InputError, starting with `name`, that names what is not supported or
/// damaged.
BytePairs parse_byte_pairs(const nlohmann::json& tokenizer, const std::string& name);

}  // namespace cross::model
