#include "model/tokenizer/word_piece.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/quote.h"
#include "cross/error.h"
#include "model/tokenizer/unicode.h"

namespace cross::model {

WordPiece::WordPiece(WordPieceRules rules, std::vector<std::string> vocabulary, const std::string& where)
    : rules_(std::move(rules)),
      vocabulary_(std::make_shared<const std::vector<std::string>>(std::move(vocabulary))) {
  ids_.reserve(vocabulary_->size());
  for (std::size_t i = 0; i < vocabulary_->size(); ++i) {
    ids_[(*vocabulary_)[i]] = static_cast<std::int32_t>(i);
    longest_piece_ = std::max(longest_piece_, (*vocabulary_)[i].size());
  }
  const auto id_of = [&](const std::string& token) {
    const auto found = ids_.find(token);
    if (found == ids_.end())
      throw InputError(fmt::format("{}: the vocabulary of {} tokens lacks {}, which the tokeniser needs",
                                   where, vocabulary_->size(), base::in_quotes(token)));
    return found->second;
  };
  unknown_ = id_of(rules_.unknown);
  first_ = id_of(rules_.first);
  last_ = id_of(rules_.last);
  std::erase_if(rules_.special,
                [&](const std::string& token) { return token.empty() || !ids_.contains(token); });
}

std::vector<std::int32_t> WordPiece::tokenize(std::string_view text, std::size_t most) const {
  std::vector<std::int32_t> ids = {first_};
  std::size_t plain = 0;
  for (std::size_t at = 0; at < text.size() && ids.size() < most;) {
    const std::string* found = nullptr;  // the longest special token that starts here
    for (const std::string& token : rules_.special)
      if (text.substr(at).starts_with(token) && (found == nullptr || token.size() > found->size()))
        found = &token;
    if (found == nullptr) {
      ++at;
      continue;
    }
    add_plain(text.substr(plain, at - plain), ids);
    ids.push_back(ids_.at(*found));
    plain = at += found->size();
  }
  add_plain(text.substr(plain), ids);
  ids.resize(std::min(ids.size(), std::max<std::size_t>(most, 2) - 1));
  ids.push_back(last_);
  return ids;
}

std::u32string WordPiece::normalise(std::string_view text) const {
  std::u32string clean;
  for (const char32_t c : decode_utf8(text)) {
    if (rules_.clean_text && (c == 0 || c == 0xFFFD || is_control(c))) continue;
    if (rules_.cjk_spacing && is_ideograph(c))
      (((clean += U' ') += c) += U' ');
    else
      clean += rules_.clean_text && is_white_space(c) ? U' ' : c;
  }
  if (rules_.strip_accents) {
    clean = decompose(clean);
    std::erase_if(clean, is_accent);
  }
  if (!rules_.lower_case) return clean;
  std::u32string lower;
  lower.reserve(clean.size());
  for (const char32_t c : clean) append_lower(lower, c);
  return lower;
}

void WordPiece::add_plain(std::string_view text, std::vector<std::int32_t>& ids) const {
  const std::u32string clean = normalise(text);
  const std::u32string_view view = clean;
  std::size_t begin = 0;
  const auto end_word = [&](std::size_t end) {
    if (end > begin) add_word(view.substr(begin, end - begin), ids);
    begin = end;
  };
  for (std::size_t i = 0; i < view.size(); ++i) {
    if (is_white_space(view[i])) {
      end_word(i);
      begin = i + 1;
    } else if (is_punctuation(view[i])) {
      end_word(i);
      end_word(i + 1);
    }
  }
  end_word(view.size());
}

void WordPiece::add_word(std::u32string_view word, std::vector<std::int32_t>& ids) const {
  if (static_cast<std::int64_t>(word.size()) > rules_.longest_word) {
    ids.push_back(unknown_);
    return;
  }
  std::string bytes;
  std::vector<std::size_t> ends;  // of every code point
  for (const char32_t c : word) {
    append_utf8(bytes, c);
    ends.push_back(bytes.size());
  }
  const std::size_t known = ids.size();
  std::string candidate;
  for (std::size_t first = 0; first < word.size();) {
    const std::size_t start = first == 0 ? 0 : ends[first - 1];
    const std::string_view prefix = first == 0 ? std::string_view() : std::string_view(rules_.continuation);
    std::size_t last = word.size();
    for (; last > first; --last) {
      const std::size_t length = ends[last - 1] - start;
      if (prefix.size() + length > longest_piece_) continue;
      candidate.assign(prefix).append(bytes, start, length);
      const auto found = ids_.find(candidate);
      if (found == ids_.end()) continue;
      ids.push_back(found->second);
      break;
    }
    if (last == first) {  // no piece fits: the whole word is unknown
      ids.resize(known);
      ids.push_back(unknown_);
      return;
    }
    first = last;
  }
}

}  // namespace cross::model
