#include "model/tokenizer/added_tokens.h"

#include <algorithm>

#include "model/tokenizer/unicode.h"

namespace cross::model {
namespace {

unsigned char byte_at(std::string_view text, std::size_t at) { return static_cast<unsigned char>(text[at]); }

/// Where the white space begins that ends `text`.
std::size_t without_trailing_space(std::string_view text) {
  std::size_t end = text.size();
  while (end > 0) {
    std::size_t start = end - 1;
    while (start > 0 && end - start < 4 && (byte_at(text, start) & 0xC0) == 0x80) --start;
    const std::u32string last = decode_utf8(text.substr(start, end - start));
    if (last.size() != 1 || !is_white_space(last[0])) break;
    end = start;
  }
  return end;
}

/// Bytes of white space that `text` starts with.
std::size_t leading_space(std::string_view text) {
  std::size_t end = 0;
  while (end < text.size()) {
    std::size_t next = end + 1;
    while (next < text.size() && (byte_at(text, next) & 0xC0) == 0x80) ++next;
    const std::u32string first = decode_utf8(text.substr(end, next - end));
    if (first.size() != 1 || !is_white_space(first[0])) break;
    end = next;
  }
  return end;
}

}  // namespace

TokenFinder::TokenFinder(std::vector<AddedToken> tokens) : tokens_(std::move(tokens)) {
  std::erase_if(tokens_, [](const AddedToken& token) { return token.content.empty(); });
  std::stable_sort(tokens_.begin(), tokens_.end(),
                   [](const AddedToken& a, const AddedToken& b) { return a.content < b.content; });
  for (const AddedToken& token : tokens_) ++first_[byte_at(token.content, 0) + std::size_t{1}];
  for (std::size_t b = 1; b < first_.size(); ++b) first_[b] += first_[b - 1];
}

const AddedToken* TokenFinder::longest_at(std::string_view text) const {
  const AddedToken* found = nullptr;
  // Tokens that agree with the text so far, narrowed byte by byte; the shortest of them stands first.
  auto low = tokens_.begin() + first_[byte_at(text, 0)];
  auto high = tokens_.begin() + first_[byte_at(text, 0) + std::size_t{1}];
  for (std::size_t length = 1; low != high; ++length) {
    if (low->content.size() == length) found = &*low;
    if (length == text.size()) break;
    const auto byte_of = [&](const AddedToken& token) {
      return token.content.size() > length ? byte_at(token.content, length) : -1;
    };
    const int wanted = byte_at(text, length);
    low = std::partition_point(low, high, [&](const AddedToken& token) { return byte_of(token) < wanted; });
    high = std::partition_point(low, high, [&](const AddedToken& token) { return byte_of(token) == wanted; });
  }
  return found;
}

std::vector<TextPart> TokenFinder::cut(std::string_view text) const {
  std::vector<TextPart> parts;
  std::size_t plain = 0;  // start of the text that is in no part yet
  for (std::size_t at = 0; !tokens_.empty() && at < text.size();) {
    const AddedToken* token = longest_at(text.substr(at));
    if (token == nullptr) {
      ++at;
      continue;
    }
    std::size_t end = at + token->content.size();
    if (token->strip_right) end += leading_space(text.substr(end));
    std::size_t begin = at;
    if (token->strip_left) begin = plain + without_trailing_space(text.substr(plain, at - plain));
    if (begin > plain) parts.push_back({text.substr(plain, begin - plain)});
    parts.push_back({text.substr(begin, end - begin), token->id});
    plain = at = end;
  }
  if (plain < text.size()) parts.push_back({text.substr(plain)});
  return parts;
}

}  // namespace cross::model
