// Unicode text as the BERT family's tokenisers see it. Tables come from ICU.
//
// The reference's tables of categories end with Unicode 8.0: characters that came later are neither controls,
// punctuation nor accents to it. Models were trained with that, so it is kept here.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace cross::model {

/// Code points of UTF-8 text. Bytes that are not UTF-8 (surrogates and overlong forms among them) become
/// U+FFFD, one per maximal ill-formed sequence.
std::u32string decode_utf8(std::string_view text);
void append_utf8(std::string& text, char32_t c);

/// Position of the first byte that is not UTF-8, or npos.
std::size_t first_ill_formed(std::string_view text);

bool is_white_space(char32_t c);
/// Cc, Cf and Co, but tab, line feed and carriage return.
bool is_control(char32_t c);
/// P*, and every ASCII character that is neither letter, digit, space nor control ("$" is one).
bool is_punctuation(char32_t c);
/// A mark without width of its own (Mn).
bool is_accent(char32_t c);
/// Ideographs; not Hangul, Hiragana or Katakana, whose languages put spaces or are cut otherwise.
bool is_ideograph(char32_t c);

/// Canonical decomposition (NFD).
std::u32string decompose(const std::u32string& text);
/// Appends the lower case of one character, whatever stands beside it: a final sigma is a plain sigma.
void append_lower(std::u32string& text, char32_t c);

}  // namespace cross::model
