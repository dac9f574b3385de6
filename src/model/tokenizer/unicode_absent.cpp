// The same without ICU, for builds on GPU machines that lack it: ASCII is served, anything else refused.
#include <algorithm>

#include "cross/error.h"
#include "model/tokenizer/unicode.h"

namespace cross::model {
namespace {

bool is_ascii(char c) { return static_cast<unsigned char>(c) < 0x80; }

}  // namespace

std::u32string decode_utf8(std::string_view text) {
  if (!std::all_of(text.begin(), text.end(), is_ascii))
    throw DeviceError(
        "this build has no Unicode tables, so it takes ASCII text only; install libicu-dev and build again");
  return {text.begin(), text.end()};
}

void append_utf8(std::string& text, char32_t c) { text.push_back(static_cast<char>(c)); }
std::size_t first_ill_formed(std::string_view) { return std::string_view::npos; }
bool is_white_space(char32_t c) { return c == ' ' || (c >= '\t' && c <= '\r'); }
bool is_control(char32_t c) { return (c < ' ' && c != '\t' && c != '\n' && c != '\r') || c == 0x7f; }
bool is_punctuation(char32_t c) {
  return (c > ' ' && c < '0') || (c > '9' && c < 'A') || (c > 'Z' && c < 'a') || (c > 'z' && c < 0x7f);
}
bool is_accent(char32_t) { return false; }
bool is_ideograph(char32_t) { return false; }
std::u32string decompose(const std::u32string& text) { return text; }
void append_lower(std::u32string& text, char32_t c) { text.push_back(c >= 'A' && c <= 'Z' ? c + 32 : c); }

}  // namespace cross::model
