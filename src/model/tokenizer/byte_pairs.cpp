#include "model/tokenizer/byte_pairs.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/quote.h"
#include "cross/error.h"
#include "model/tokenizer/byte_alphabet.h"
#include "model/tokenizer/unicode.h"

namespace cross::model {
namespace {

TokenFinder finder(const std::vector<AddedToken>& tokens, bool normalised, const PreTokenizer& with) {
  std::vector<AddedToken> wanted;
  for (const AddedToken& token : tokens) {
    if (token.normalized != normalised) continue;
    wanted.push_back(token);
    if (normalised) wanted.back().content = with.normalise(token.content);
  }
  return TokenFinder(std::move(wanted));
}

}  // namespace

BytePairs::BytePairs(BytePairRules rules, std::vector<std::string> pieces, std::vector<Merge> merges,
                     const std::string& where)
    : rules_(std::move(rules)),
      pieces_(std::move(pieces)),
      merges_(std::move(merges)),
      cut_(rules_.cut, where),
      table_((check(merges_, where), merges_)),
      raw_(finder(rules_.added, false, cut_)),
      normalised_(finder(rules_.added, true, cut_)) {
  std::fill(std::begin(byte_ids_), std::end(byte_ids_), -1);
  if (rules_.ignore_merges) word_bytes_.reserve(pieces_.size());  // its elements must not move
  for (std::size_t id = 0; id < pieces_.size(); ++id) {
    // A piece of one byte has at most two bytes of text.
    if (pieces_[id].size() > 2 && !rules_.ignore_merges) continue;
    const auto bytes = from_byte_alphabet(pieces_[id]);
    if (!bytes || bytes->empty()) continue;
    if (bytes->size() == 1)
      byte_ids_[static_cast<unsigned char>(bytes->front())] = static_cast<std::int32_t>(id);
    if (rules_.ignore_merges) words_[word_bytes_.emplace_back(*bytes)] = static_cast<std::int32_t>(id);
  }
  for (int byte = 0; byte < 256; ++byte)
    if (byte_ids_[byte] < 0)
      throw InputError(
          fmt::format("{}: the vocabulary has no piece for the byte 0x{:02x}; byte-level BPE needs all 256",
                      where, byte));
}

void BytePairs::check(const std::vector<Merge>& merges, const std::string& where) const {
  const auto known = [&](std::int32_t id) { return id >= 0 && id < size(); };
  const auto require_known = [&](std::int32_t id, std::string_view what) {
    if (!known(id))
      throw InputError(fmt::format("{}: {} has the id {}; ids are 0 to {}", where, what, id, size() - 1));
  };
  if (size() > most_pieces || static_cast<std::int64_t>(merges.size()) > most_pieces)
    throw InputError(fmt::format("{}: has too many pieces or merges", where));
  for (const Merge& merge : merges) {
    for (const std::int32_t id : {merge.left, merge.right, merge.result})
      require_known(id, "a piece of a merge");
    const auto piece = [&](std::int32_t id) {
      return std::string_view(pieces_[static_cast<std::size_t>(id)]);
    };
    const std::string_view left = piece(merge.left), right = piece(merge.right), result = piece(merge.result);
    if (left.empty() || right.empty() || result.size() != left.size() + right.size() ||
        !result.starts_with(left) || !result.ends_with(right))
      throw InputError(fmt::format("{}: a merge makes {} of {} and {}", where, base::in_quotes(result),
                                   base::in_quotes(left), base::in_quotes(right)));
  }
  for (const AddedToken& token : rules_.added) {
    require_known(token.id, "an added token");
    if (pieces_[static_cast<std::size_t>(token.id)] != token.content)
      throw InputError(fmt::format("{}: the id {} of the added token {} is that of {}", where, token.id,
                                   base::in_quotes(token.content),
                                   base::in_quotes(pieces_[static_cast<std::size_t>(token.id)])));
  }
  for (const auto* ids : {&rules_.first, &rules_.last})
    for (const std::int32_t id : *ids) require_known(id, "a token around the text");
}

std::vector<std::int32_t> BytePairs::encode(std::string_view text) const {
  std::vector<std::int32_t> ids = rules_.first;
  for (const TextPart& part : raw_.cut(text)) {
    if (part.id >= 0) {
      ids.push_back(part.id);
      continue;
    }
    const std::string normal = cut_.normalise(part.text);
    for (const TextPart& inner : normalised_.cut(normal))
      if (inner.id >= 0)
        ids.push_back(inner.id);
      else
        cut_.cut(inner.text, [&](std::string_view word) { add_word(word, ids); });
  }
  ids.insert(ids.end(), rules_.last.begin(), rules_.last.end());
  return ids;
}

void BytePairs::add_word(std::string_view word, std::vector<std::int32_t>& ids) const {
  if (rules_.ignore_merges) {
    const auto found = words_.find(word);
    if (found != words_.end()) {
      ids.push_back(found->second);
      return;
    }
  }
  std::vector<std::int32_t> symbols(word.size());
  std::transform(word.begin(), word.end(), symbols.begin(),
                 [&](char byte) { return byte_ids_[static_cast<unsigned char>(byte)]; });
  table_.apply(symbols);
  ids.insert(ids.end(), symbols.begin(), symbols.end());
}

std::string BytePairs::bytes_of(std::int32_t id) const {
  if (id < 0 || id >= size()) return {};
  const std::string& piece = pieces_[static_cast<std::size_t>(id)];
  return from_byte_alphabet(piece).value_or(piece);
}

bool BytePairs::is_special(std::int32_t id) const {
  return std::any_of(rules_.added.begin(), rules_.added.end(),
                     [id](const AddedToken& token) { return token.id == id && token.special; });
}

}  // namespace cross::model
