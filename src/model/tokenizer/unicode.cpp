#include "model/tokenizer/unicode.h"

#include <unicode/normalizer2.h>
#include <unicode/uchar.h>
#include <unicode/unistr.h>
#include <unicode/utf8.h>

#include <algorithm>

#include "cross/error.h"

namespace cross::model {
namespace {

UChar32 code(char32_t c) { return static_cast<UChar32>(c); }

bool known_to_the_reference(char32_t c) {
  UVersionInfo age;
  u_charAge(code(c), age);
  return age[0] < 8 || (age[0] == 8 && age[1] == 0);
}

bool in_category(char32_t c, std::uint32_t mask) {
  return (U_GET_GC_MASK(code(c)) & mask) != 0 && known_to_the_reference(c);
}

}  // namespace

std::u32string decode_utf8(std::string_view text) {
  std::u32string result;
  result.reserve(text.size());
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(text.data());
  const std::size_t size = text.size();
  for (std::size_t i = 0; i < size;) {
    UChar32 c;
    U8_NEXT_OR_FFFD(bytes, i, size, c);
    result.push_back(static_cast<char32_t>(c));
  }
  return result;
}

void append_utf8(std::string& text, char32_t c) {
  std::uint8_t bytes[U8_MAX_LENGTH];
  int length = 0;
  U8_APPEND_UNSAFE(bytes, length, code(c));
  text.append(reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(length));
}

std::size_t first_ill_formed(std::string_view text) {
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(text.data());
  const std::size_t size = text.size();
  for (std::size_t i = 0; i < size;) {
    const std::size_t at = i;
    UChar32 c;
    U8_NEXT(bytes, i, size, c);
    if (c < 0) return at;
  }
  return std::string_view::npos;
}

bool is_white_space(char32_t c) { return u_isUWhiteSpace(code(c)); }

bool is_control(char32_t c) {
  if (c == '\t' || c == '\n' || c == '\r') return false;
  if (c < 0x80) return c < 0x20 || c == 0x7f;
  return in_category(c, U_GC_CC_MASK | U_GC_CF_MASK | U_GC_CO_MASK);
}

bool is_punctuation(char32_t c) {
  if (c < 0x80)
    return (c > ' ' && c < '0') || (c > '9' && c < 'A') || (c > 'Z' && c < 'a') || (c > 'z' && c < 0x7f);
  return in_category(c, U_GC_P_MASK);
}

bool is_accent(char32_t c) { return c >= 0x300 && in_category(c, U_GC_MN_MASK); }

bool is_ideograph(char32_t c) {
  struct Range {
    char32_t first, last;
  };
  constexpr Range ranges[] = {{0x3400, 0x4DBF},   {0x4E00, 0x9FFF},   {0xF900, 0xFAFF},   {0x20000, 0x2A6DF},
                              {0x2A700, 0x2B73F}, {0x2B740, 0x2B81F}, {0x2B920, 0x2CEAF}, {0x2F800, 0x2FA1F}};
  return c >= 0x3400 && std::any_of(std::begin(ranges), std::end(ranges),
                                    [c](const Range& range) { return c >= range.first && c <= range.last; });
}

std::u32string decompose(const std::u32string& text) {
  if (std::all_of(text.begin(), text.end(), [](char32_t c) { return c < 0xC0; })) return text;
  UErrorCode error = U_ZERO_ERROR;
  const icu::Normalizer2* nfd = icu::Normalizer2::getNFDInstance(error);
  icu::UnicodeString source;
  for (const char32_t c : text) source.append(code(c));
  const icu::UnicodeString target = U_SUCCESS(error) ? nfd->normalize(source, error) : icu::UnicodeString();
  if (U_FAILURE(error)) throw InternalError(std::string("ICU cannot decompose: ") + u_errorName(error));
  std::u32string result;
  result.reserve(text.size());
  for (int i = 0; i < target.length();) {
    const UChar32 c = target.char32At(i);
    result.push_back(static_cast<char32_t>(c));
    i += U16_LENGTH(c);
  }
  return result;
}

void append_lower(std::u32string& text, char32_t c) {
  if (c == 0x130) {  // İ, the one letter whose lower case is two characters in every language
    text += U"i\u0307";
    return;
  }
  text.push_back(static_cast<char32_t>(u_tolower(code(c))));
}

}  // namespace cross::model
