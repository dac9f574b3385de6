#include "base/quote.h"

#include <fmt/format.h>

#include <cstddef>

namespace cross::base {
namespace {

/// Length of the UTF-8 character at the start of `text`; 0 where the bytes are none.
std::size_t utf8_length(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return 1;
  const std::size_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4 || text.size() < length) return 0;
  for (std::size_t i = 1; i < length; ++i)
    if ((byte(i) & 0xc0) != 0x80) return 0;
  const unsigned char second = byte(1);
  if ((lead == 0xe0 && second < 0xa0) || (lead == 0xed && second > 0x9f)) return 0;
  if ((lead == 0xf0 && second < 0x90) || (lead == 0xf4 && second > 0x8f)) return 0;
  if (lead == 0xc2 && second < 0xa0) return 0;  // C1 control characters
  return length;
}

void escape(std::string_view text, bool quotes, std::string& out) {
  while (!text.empty()) {
    const auto first = static_cast<unsigned char>(text.front());
    std::size_t length = utf8_length(text);
    if (first < 0x20 || first == 0x7f || (quotes && (first == '"' || first == '\\'))) length = 0;
    if (length == 0) {
      out += fmt::format("\\x{:02x}", first);
      length = 1;
    } else {
      out += text.substr(0, length);
    }
    text.remove_prefix(length);
  }
}

}  // namespace

std::string in_quotes(std::string_view text) {
  constexpr std::size_t longest = 120;
  std::string out = "\"";
  escape(text.substr(0, longest), true, out);
  if (text.size() > longest) out += "…";
  out += '"';
  return out;
}

std::string printable(std::string_view text) {
  std::string out;
  escape(text, false, out);
  return out;
}

}  // namespace cross::base
