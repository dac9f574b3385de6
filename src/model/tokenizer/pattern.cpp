#include "model/tokenizer/pattern.h"

#include <fmt/format.h>

#include <algorithm>

namespace cross::model {
namespace {

/// Escapes with one meaning: of ASCII letters and digits only these.
bool portable_escape(char c) {
  const bool letter_or_digit = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
  return !letter_or_digit || std::string_view("sSdDpPrntfu").find(c) != std::string_view::npos;
}

char char_at(std::string_view text, std::size_t at) { return at < text.size() ? text[at] : '\0'; }

/// Where the escape ends that starts `text`.
std::size_t escape_length(std::string_view text) {
  const char kind = char_at(text, 1);
  std::size_t length = 2;
  if ((kind == 'p' || kind == 'P') && char_at(text, 2) == '{') length = text.find('}') + 1;
  if (kind == 'u') length = 6;
  return length == 0 ? text.size() : std::min(length, text.size());
}

/// Where the set ends that starts `text`, which has no set inside.
std::size_t set_length(std::string_view text) {
  std::size_t at = 1;
  while (at < text.size() && text[at] != ']') at += text[at] == '\\' ? escape_length(text.substr(at)) : 1;
  return std::min(at + 1, text.size());
}

/// Length of the set, escape or character at the start of `text`; 0 for what is none.
std::size_t atom_length(std::string_view text) {
  const char c = text.front();
  if (c == '\\') return escape_length(text);
  if (c == '[') return set_length(text);
  if (std::string_view("()|*+?{}").find(c) != std::string_view::npos) return 0;
  std::size_t length = 1;
  while ((static_cast<unsigned char>(char_at(text, length)) & 0xC0) == 0x80) ++length;
  return length;
}

std::string unportable_in_set(std::string_view set) {
  std::size_t at = char_at(set, 1) == '^' ? 2 : 1;
  if (char_at(set, at) == ']') return "] at the start of […]";
  while (at + 1 < set.size()) {
    const char c = set[at];
    if (c == '[') return "[ inside of […]";
    if ((c == '&' || c == '-') && char_at(set, at + 1) == c) return fmt::format("{}{} inside of […]", c, c);
    if (c == '\\' && !portable_escape(char_at(set, at + 1))) return fmt::format("\\{}", char_at(set, at + 1));
    at += c == '\\' ? escape_length(set.substr(at)) : 1;
  }
  return {};
}

}  // namespace

std::string unportable_construct(std::string_view pattern) {
  for (std::size_t at = 0; at < pattern.size();) {
    const char c = pattern[at], next = char_at(pattern, at + 1);
    const std::size_t length = atom_length(pattern.substr(at));
    if (c == '^' || c == '$' || c == '.') return std::string(1, c);
    if (c == '}' && next == '+') return "}+";
    if (c == '\\' && !portable_escape(next)) return fmt::format("\\{}", next);
    if (c == '[')
      if (const std::string found = unportable_in_set(pattern.substr(at, length)); !found.empty())
        return found;
    at += std::max<std::size_t>(length, 1);
  }
  return {};
}

std::string with_flat_loops(std::string_view pattern) {
  std::string result;
  for (std::size_t at = 0; at < pattern.size();) {
    const std::size_t length = atom_length(pattern.substr(at));
    std::string atom(pattern.substr(at, std::max<std::size_t>(length, 1)));
    at += atom.size();
    if (atom.front() == '\\' && std::string_view("sSdDpP").find(char_at(atom, 1)) != std::string_view::npos)
      atom = '[' + atom + ']';
    result += atom;
    if (length > 0 && char_at(pattern, at) == '+') {
      result += atom + '*';
      ++at;
    }
  }
  return result;
}

}  // namespace cross::model
