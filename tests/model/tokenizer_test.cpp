// WordPiece against the reference tokeniser's output (make_fixtures.py), and its files' mistakes.
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "cross/error.h"
#include "model/fixtures.h"
#include "model/tokenizer/read_word_piece.h"
#include "model/tokenizer/unicode.h"
#include "refusal.h"
#include "temp_folder.h"

namespace cross::model {
namespace {

using nlohmann::json;
using testing::fixture;
using testing::minilm_folder;

constexpr std::size_t unlimited = 100'000;

json cases() { return json::parse(testing::read_file(fixture("tokenizer.json"))); }

void expect_ids(const WordPiece& tokenizer, const std::string& name) {
  const json all = cases();
  for (std::size_t i = 0; i < all["texts"].size(); ++i) {
    const auto text = all["texts"][i].get<std::string>();
    EXPECT_EQ(tokenizer.tokenize(text, unlimited), all["ids"][name][i].get<std::vector<std::int32_t>>())
        << name << ", text " << i << ": " << text;
  }
}

TEST(WordPiece, gives_the_reference_ids_for_hostile_texts) {
  const WordPiece read = read_word_piece(fixture("tiny_bert"));
  expect_ids(read, "uncased");
  const json all = cases();
  for (const auto& [name, given] : all["rules"].items()) {
    WordPieceRules rules;
    rules.clean_text = given["clean_text"];
    rules.cjk_spacing = given["handle_chinese_chars"];
    rules.strip_accents = given["strip_accents"];
    rules.lower_case = given["lowercase"];
    expect_ids({rules, read.vocabulary(), "test"}, name);
  }
}

TEST(WordPiece, gives_the_reference_ids_with_the_vocabulary_of_minilm) {
  const auto folder = minilm_folder();
  if (folder.empty()) GTEST_SKIP() << "all-MiniLM-L6-v2 is not in models/ (quickstart.sh downloads it)";
  expect_ids(read_word_piece(folder), "minilm");
}

TEST(WordPiece, reads_the_same_from_either_kind_of_file) {
  const std::string vocabulary = testing::read_file(fixture("tiny_bert/vocab.txt"));
  const std::string config = testing::read_file(fixture("tiny_bert/tokenizer_config.json"));
  expect_ids(parse_vocabulary(vocabulary, "vocab.txt", config, "tokenizer_config.json"), "uncased");
  expect_ids(parse_vocabulary(vocabulary, "vocab.txt", "", ""), "uncased");
  const WordPiece from_json = read_word_piece(fixture("tiny_bert"));
  EXPECT_EQ(vocabulary_text(from_json), vocabulary);
  expect_ids({read_rules(describe(from_json.rules()), "plan"), from_json.vocabulary(), "plan"}, "uncased");
}

TEST(WordPiece, cuts_before_the_last_token) {
  const WordPiece tokenizer = read_word_piece(fixture("tiny_bert"));
  const auto whole = tokenizer.tokenize("the cat sat", unlimited);
  ASSERT_EQ(whole.size(), 5u);
  EXPECT_EQ(tokenizer.tokenize("the cat sat", 4), (std::vector{whole[0], whole[1], whole[2], whole[4]}));
  EXPECT_EQ(tokenizer.tokenize("the cat sat", 2), (std::vector{whole[0], whole[4]}));
  EXPECT_EQ(tokenizer.tokenize("[MASK][MASK][MASK]", 3).size(), 3u);
}

TEST(WordPiece, drops_bytes_that_are_no_text) {
  const WordPiece tokenizer = read_word_piece(fixture("tiny_bert"));
  EXPECT_EQ(tokenizer.tokenize("the\xff cat\xc3", unlimited), tokenizer.tokenize("the cat", unlimited));
  EXPECT_EQ(first_ill_formed("a\xc3\xa9"), std::string::npos);
  EXPECT_EQ(first_ill_formed("ab\xed\xa0\x80"), 2u);  // a surrogate
  EXPECT_EQ(first_ill_formed("\xc0\xaf"), 0u);        // an overlong slash
}

class Mistakes : public ::testing::Test {
 protected:
  json tokenizer_ = json::parse(testing::read_file(fixture("tiny_bert/tokenizer.json")));
  void expect(const std::vector<std::string>& words) {
    const std::string text = tokenizer_.dump();
    testing::expect_refused<InputError>([&] { parse_tokenizer_json(text, "t.json"); }, words);
  }
};

TEST_F(Mistakes, AnotherKindOfModel) {
  tokenizer_["model"]["type"] = "BPE";
  expect({"t.json: model", "\"type\" is \"BPE\"", "WordPiece"});
}
TEST_F(Mistakes, AnotherNormalizer) {
  tokenizer_["normalizer"]["type"] = "Lowercase";
  expect({"t.json: normalizer", "\"Lowercase\"", "BertNormalizer"});
}
TEST_F(Mistakes, NoFrame) {
  tokenizer_["post_processor"]["single"] = json::array();
  expect({"t.json: post_processor", "\"single\"", "special token"});
}
TEST_F(Mistakes, IdTwice) {
  tokenizer_["model"]["vocab"]["the"] = 0;
  expect({"t.json: model", "\"vocab\" gives", "each once"});
}
TEST_F(Mistakes, IdOutOfRange) {
  tokenizer_["model"]["vocab"]["the"] = 4000000000u;
  expect({"\"the\"", "4000000000", "ids must be 0 to"});
}
TEST_F(Mistakes, FirstTokenMissing) {
  testing::expect_refused<InputError>([] { parse_vocabulary("[UNK]\n[SEP]\n", "vocab.txt", "", ""); },
                                      {"vocab.txt", "\"[CLS]\""});
}
TEST_F(Mistakes, FlagThatIsNone) {
  testing::expect_refused<InputError>(
      [] { parse_vocabulary("[UNK]\n", "vocab.txt", R"({"do_lower_case": 1})", "tokenizer_config.json"); },
      {"tokenizer_config.json", "\"do_lower_case\" is 1", "true or false"});
}
TEST_F(Mistakes, NoFiles) {
  const testing::TempFolder folder;
  testing::expect_refused<InputError>([&] { read_word_piece(folder.path()); },
                                      {"neither tokenizer.json nor vocab.txt"});
}

}  // namespace
}  // namespace cross::model
