// The alphabet of byte-level BPE: every byte has a printable character, so that vocabularies can be text.
// Bytes that Latin-1 prints stand for themselves, the others follow from U+0100 on (a space is Ġ, U+0120).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace cross::model {

/// Text of the bytes in the alphabet, UTF-8.
std::string in_byte_alphabet(std::string_view bytes);

/// The bytes that `piece` stands for; nothing if a character is not in the alphabet.
std::optional<std::string> from_byte_alphabet(std::string_view piece);

}  // namespace cross::model
