// Byte-level byte-pair encoding: the tokeniser of Llama 3, Qwen2, GPT-2 and their kin.
//
//   text → added tokens cut out → normalised → words at the steps of the pre-tokeniser → bytes → merges
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "model/tokenizer/added_tokens.h"
#include "model/tokenizer/pair_merges.h"
#include "model/tokenizer/pre_tokenizer.h"
#include "model/tokenizer/tokenizer.h"

namespace cross::model {

struct BytePairRules {
  PreTokenizerRules cut;
  bool ignore_merges = false;  ///< a word that is a piece is that piece, whatever the merges make of it
  std::vector<AddedToken> added;
  std::vector<std::int32_t> first, last;  ///< in front of and behind every text
};

/// Larger vocabularies are none that exist.
inline constexpr std::int64_t most_pieces = 10'000'000;

/// Whether `value` can be a token's id.
inline bool is_id(const nlohmann::json& value) {
  return value.is_number_integer() && value.get<std::int64_t>() >= 0 &&
         value.get<std::int64_t>() < most_pieces;
}

class BytePairs final : public Tokenizer {
 public:
  /// @param pieces by id, in the alphabet of bytes; those of added tokens stand in their content, ids without
  /// a
  ///   piece are empty.
  /// @param where starts the message of the InputError for parts that do not fit each other.
  BytePairs(BytePairRules rules, std::vector<std::string> pieces, std::vector<Merge> merges,
            const std::string& where);

  std::vector<std::int32_t> encode(std::string_view text) const override;
  std::string bytes_of(std::int32_t id) const override;
  bool is_special(std::int32_t id) const override;
  std::int64_t size() const override { return static_cast<std::int64_t>(pieces_.size()); }
  StoredTokenizer stored() const override;

  const BytePairRules& rules() const { return rules_; }

 private:
  void check(const std::vector<Merge>& merges, const std::string& where) const;
  void add_word(std::string_view word, std::vector<std::int32_t>& ids) const;

  BytePairRules rules_;
  std::vector<std::string> pieces_;
  std::vector<Merge> merges_;
  PreTokenizer cut_;
  PairMerges table_;
  TokenFinder raw_, normalised_;
  std::int32_t byte_ids_[256];
  std::unordered_map<std::string_view, std::int32_t> words_;  // bytes of pieces, only to ignore merges
  std::vector<std::string> word_bytes_;                       // what its keys point into
};

/// Its parts in a plan: see `stored`.
std::unique_ptr<Tokenizer> load_byte_pairs(const nlohmann::json& description, const ModelPart& part,
                                           const std::string& where);

}  // namespace cross::model
