// WordPiece, the tokeniser of the BERT family.
//
//   text → special tokens cut out → cleaned, ideographs spaced, accents stripped, lower case → words at white
//   space and punctuation → per word the longest piece of the vocabulary, again and again
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace cross::model {

struct WordPieceRules {
  bool clean_text = true;     ///< drop controls, make every white space a space
  bool cjk_spacing = true;    ///< every ideograph is a word
  bool strip_accents = true;  ///< decompose, drop marks
  bool lower_case = true;
  std::string unknown = "[UNK]", first = "[CLS]", last = "[SEP]";
  std::string continuation = "##";  ///< in front of a piece that does not start its word
  std::int64_t longest_word = 100;  ///< in code points; longer ones are unknown
  std::vector<std::string> special = {"[PAD]", "[UNK]", "[CLS]", "[SEP]",
                                      "[MASK]"};  ///< whole where the text has them
};

/// Const access is thread-safe.
class WordPiece {
 public:
  /// @param vocabulary pieces by id; where one stands twice the last id counts, as for the reference.
  /// @param where starts the message of the InputError for a vocabulary without the tokens that the rules
  /// name.
  WordPiece(WordPieceRules rules, std::vector<std::string> vocabulary, const std::string& where);

  /// Ids of `text` (UTF-8; ill-formed bytes count as U+FFFD) between `first` and `last`, cut to `most` in
  /// all.
  std::vector<std::int32_t> tokenize(std::string_view text, std::size_t most) const;

  const WordPieceRules& rules() const { return rules_; }
  const std::vector<std::string>& vocabulary() const { return *vocabulary_; }

 private:
  void add_plain(std::string_view text, std::vector<std::int32_t>& ids) const;
  void add_word(std::u32string_view word, std::vector<std::int32_t>& ids) const;
  std::u32string normalise(std::string_view text) const;

  WordPieceRules rules_;
  std::shared_ptr<const std::vector<std::string>> vocabulary_;  // keys of the map point into it
  std::unordered_map<std::string_view, std::int32_t> ids_;
  std::int32_t unknown_ = 0, first_ = 0, last_ = 0;
  std::size_t longest_piece_ = 0;  ///< bytes
};

}  // namespace cross::model
