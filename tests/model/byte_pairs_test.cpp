// Byte-level BPE against the reference tokeniser's output (make_tokenizer_fixtures.py), and its file's
// mistakes.
#include "model/tokenizer/byte_pairs.h"

#include <gtest/gtest.h>

#include <chrono>
#include <nlohmann/json.hpp>

#include "base/strict_json.h"
#include "cross/error.h"
#include "model/fixtures.h"
#include "model/tokenizer/byte_alphabet.h"
#include "model/tokenizer/pattern.h"
#include "model/tokenizer/read_byte_pairs.h"
#include "model/tokenizer/text_stream.h"
#include "refusal.h"
#include "temp_folder.h"

namespace cross::model {
namespace {

using nlohmann::json;
using testing::fixture;
using Ids = std::vector<std::int32_t>;

json cases() { return json::parse(testing::read_file(fixture("byte_pairs.json"))); }
json base_file() { return json::parse(testing::read_file(fixture("tiny_story/tokenizer.json"))); }

/// The fixture's tokeniser with what `variant` changes.
json changed_by(const json& variant) {
  json root = base_file();
  for (const char* part : {"normalizer", "post_processor"}) root[part] = nullptr;
  root["model"]["ignore_merges"] = false;
  for (const auto& [part, value] : variant.items())
    if (part == "model")
      root[part].update(value);
    else
      root[part] = value;
  return root;
}

std::unique_ptr<Tokenizer> through_a_plan(const Tokenizer& tokenizer) {
  const StoredTokenizer stored = tokenizer.stored();
  ModelPart part;
  part.tensors = stored.tensors;
  return load_tokenizer(stored.description, part, "plan");
}

TEST(BytePairs, gives_the_reference_ids_for_hostile_texts) {
  const json all = cases();
  for (const auto& [name, variant] : all["variants"].items()) {
    const BytePairs tokenizer = parse_byte_pairs(changed_by(variant), name);
    const auto stored = through_a_plan(tokenizer);
    for (std::size_t i = 0; i < all["texts"].size(); ++i) {
      if (all["ids"][name][i].is_null()) continue;
      const auto text = all["texts"][i].get<std::string>();
      const auto expected = all["ids"][name][i].get<Ids>();
      EXPECT_EQ(tokenizer.encode(text), expected) << name << ", text " << i << ": " << text;
      EXPECT_EQ(stored->encode(text), expected) << "stored " << name << ", text " << i;
    }
  }
}

TEST(BytePairs, decodes_as_the_reference_does) {
  const json all = cases();
  for (const auto& [name, texts] : all["decoded"].items()) {
    const BytePairs tokenizer = parse_byte_pairs(changed_by(all["variants"][name]), name);
    for (std::size_t i = 0; i < texts.size(); ++i) {
      if (all["ids"][name][i].is_null()) continue;
      const json& expected = texts[i].is_null() ? all["texts"][i] : texts[i];
      EXPECT_EQ(decode(tokenizer, all["ids"][name][i].get<Ids>()), expected.get<std::string>())
          << name << ", text " << i;
    }
  }
  const BytePairs tokenizer = parse_byte_pairs(changed_by({}), "t");
  EXPECT_EQ(decode(tokenizer, all["order"].get<Ids>()), all["order_decoded"].get<std::string>());
}

TEST(BytePairs, streams_whole_characters_only) {
  const json all = cases();
  const BytePairs tokenizer = parse_byte_pairs(changed_by({}), "t");
  const auto order = all["order"].get<Ids>();
  TextStream stream(tokenizer);
  std::string whole;
  for (const std::int32_t id : order) {
    const std::string text = stream.add(id);
    EXPECT_EQ(complete_bytes(text), text.size());
    whole += text;
  }
  EXPECT_EQ(whole + stream.finish(), all["order_decoded"].get<std::string>());
  EXPECT_EQ(stream.finish(), "");
}

TEST(BytePairs, knows_where_a_character_may_go_on) {
  EXPECT_EQ(complete_bytes("ab"), 2u);
  EXPECT_EQ(complete_bytes("a\xc3"), 1u);
  EXPECT_EQ(complete_bytes("a\xc3\xa9"), 3u);
  EXPECT_EQ(complete_bytes("a\xf0\x9f\x98"), 1u);
  EXPECT_EQ(complete_bytes("\xe2\x82"), 0u);
  EXPECT_EQ(complete_bytes("a\xff"), 2u);          // starts nothing
  EXPECT_EQ(complete_bytes("a\xe0\x80"), 3u);      // an overlong form
  EXPECT_EQ(complete_bytes("a\xed\xa0"), 3u);      // a surrogate
  EXPECT_EQ(complete_bytes("a\xf4\x90\x80"), 4u);  // beyond Unicode
}

TEST(BytePairs, replaces_bytes_that_are_no_text) {
  const BytePairs tokenizer = parse_byte_pairs(changed_by(cases()["variants"]["llama3"]), "t");
  EXPECT_EQ(tokenizer.encode("the\xff cat\xc3"), tokenizer.encode("the\uFFFD cat\uFFFD"));
}

TEST(BytePairs, reads_merges_in_both_forms) {
  json root = base_file();
  ASSERT_TRUE(root["model"]["merges"][0].is_array());
  const BytePairs pairs = parse_byte_pairs(root, "pairs");
  for (json& merge : root["model"]["merges"])
    merge = merge[0].get<std::string>() + " " + merge[1].get<std::string>();
  const BytePairs strings = parse_byte_pairs(root, "strings");
  const json all = cases();
  for (const json& text : all["texts"])
    EXPECT_EQ(pairs.encode(text.get<std::string>()), strings.encode(text.get<std::string>()));
}

TEST(BytePairs, takes_long_words_in_little_time) {
  const BytePairs tokenizer = parse_byte_pairs(changed_by({}), "t");
  for (const char* unit : {"ab", "e", "日本", " "}) {
    std::string text;
    while (text.size() < 1'000'000) text += unit;
    const auto start = std::chrono::steady_clock::now();
    const Ids ids = tokenizer.encode(text);
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    EXPECT_EQ(decode(tokenizer, ids), text);
    EXPECT_LT(seconds, 20) << unit;  // quadratic time would be hours
  }
}

TEST(BytePairs, unrolls_loops_of_one_character) {
  EXPECT_EQ(with_flat_loops(R"( ?[^\s\p{L}]+|\p{N}{1,3}|(ab)+|x+\u0041+é+\++|\s*|\s+(?!\S))"),
            R"( ?[^\s\p{L}][^\s\p{L}]*|[\p{N}]{1,3}|(ab)+|xx*\u0041\u0041*éé*\+\+*|[\s]*|[\s][\s]*(?![\S]))");
}

TEST(BytePairs, writes_every_byte_in_its_alphabet) {
  for (int byte = 0; byte < 256; ++byte) {
    const std::string one(1, static_cast<char>(byte));
    EXPECT_EQ(from_byte_alphabet(in_byte_alphabet(one)), one);
  }
  EXPECT_EQ(in_byte_alphabet(" a\n"), "\u0120a\u010A");
  EXPECT_FALSE(from_byte_alphabet(" "));
  EXPECT_FALSE(from_byte_alphabet("日"));
  EXPECT_FALSE(from_byte_alphabet("\xc4"));
}

class BytePairMistakes : public ::testing::Test {
 protected:
  json root_ = base_file();
  void expect(const std::vector<std::string>& words) {
    testing::expect_refused<InputError>([&] { parse_byte_pairs(root_, "t.json"); }, words);
  }
};

TEST_F(BytePairMistakes, AnotherModel) {
  root_["model"]["type"] = "Unigram";
  expect({"t.json: model", "\"type\" is \"Unigram\"", "BPE"});
}
TEST_F(BytePairMistakes, AnotherNormalizer) {
  root_["normalizer"] = {{"type", "Lowercase"}};
  expect({"t.json: normalizer", "\"Lowercase\"", "NFC"});
}
TEST_F(BytePairMistakes, AnotherPreTokenizer) {
  root_["pre_tokenizer"]["pretokenizers"][0] = {{"type", "Metaspace"}};
  expect({"t.json: pre_tokenizer", "\"Metaspace\"", "ByteLevel"});
}
TEST_F(BytePairMistakes, NoByteLevel) {
  root_["pre_tokenizer"]["pretokenizers"].erase(1);
  expect({"pre_tokenizer has no ByteLevel"});
  root_["pre_tokenizer"] = nullptr;
  expect({"pre_tokenizer is missing"});
}
TEST_F(BytePairMistakes, SomethingBehindByteLevel) {
  root_["pre_tokenizer"]["pretokenizers"].push_back({{"type", "Digits"}});
  expect({"\"Digits\"", "ByteLevel must be the last"});
}
TEST_F(BytePairMistakes, AnotherBehavior) {
  root_["pre_tokenizer"]["pretokenizers"][0]["behavior"] = "Joined";
  expect({"\"behavior\" is \"Joined\"", "Isolated"});
}
TEST_F(BytePairMistakes, PatternThatIsNone) {
  root_["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"] = "(a";
  expect({"t.json: the pattern \"(a\"", "U_REGEX_MISMATCHED_PAREN"});
}
TEST_F(BytePairMistakes, PatternThatOthersReadDifferently) {
  for (const char* pattern : {"\\h+", "\\w", "a$", "a.b", "^a", "\\p{N}{1,3}+", "[a[b]]", "[a&&b]", "[]a]"}) {
    root_["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"] = pattern;
    expect({"read differently"});
  }
}
TEST_F(BytePairMistakes, AnotherPostProcessor) {
  root_["post_processor"] = {{"type", "RobertaProcessing"}};
  expect({"t.json: post_processor", "\"RobertaProcessing\"", "TemplateProcessing"});
}
TEST_F(BytePairMistakes, TemplateWithoutText) {
  root_["post_processor"]["processors"][1]["single"].erase(1);
  expect({"\"single\"", "the text once"});
}
TEST_F(BytePairMistakes, TemplateOfUnknownToken) {
  root_["post_processor"]["processors"][1]["special_tokens"] = json::object();
  expect({"special_tokens", "<|begin_of_text|>", "is missing"});
}
TEST_F(BytePairMistakes, AnotherDecoder) {
  root_["decoder"] = {{"type", "Metaspace"}};
  expect({"t.json: decoder", "\"Metaspace\"", "ByteLevel"});
}
TEST_F(BytePairMistakes, OptionsOfOtherVocabularies) {
  root_["model"]["end_of_word_suffix"] = "</w>";
  expect({"\"end_of_word_suffix\" is \"</w>\""});
  root_["model"]["end_of_word_suffix"] = "";
  root_["model"]["dropout"] = 0.1;
  expect({"\"dropout\" is 0.1"});
  root_["model"]["dropout"] = nullptr;
  root_["model"]["byte_fallback"] = true;
  expect({"\"byte_fallback\" is true"});
}
TEST_F(BytePairMistakes, TokenThatMustBeAWord) {
  root_["added_tokens"][0]["single_word"] = true;
  expect({"added_tokens", "<|begin_of_text|>", "\"single_word\""});
}
TEST_F(BytePairMistakes, IdTwice) {
  root_["added_tokens"][0]["id"] = 5;
  expect({"<|begin_of_text|>", "same id 5"});
}
TEST_F(BytePairMistakes, AddedTokenWithAnotherId) {
  root_["added_tokens"].push_back({{"id", 2000}, {"content", "mat"}});
  root_["model"]["vocab"]["mat"] = 2001;
  expect({"added_tokens gives \"mat\" the id 2000, \"vocab\" 2001"});
}
TEST_F(BytePairMistakes, IdOutOfRange) {
  root_["model"]["vocab"]["zzzz"] = 4000000000u;
  expect({"\"zzzz\"", "4000000000"});
  root_["model"]["vocab"]["zzzz"] = 9000000;
  expect({"largest id is 9000000"});
}
TEST_F(BytePairMistakes, ByteWithoutPiece) {
  root_["model"]["vocab"].erase("!");
  root_["model"]["merges"] = json::array();
  expect({"no piece for the byte 0x21"});
}
TEST_F(BytePairMistakes, MergesThatAreNone) {
  for (const json& merge : {json("ab"), json("a b c"), json(3), json({"a", "b", "c"}), json({"a", 1})}) {
    root_["model"]["merges"][0] = merge;
    expect({"t.json: model", "\"merges\" has " + merge.dump()});
  }
  root_["model"]["merges"][0] = {"qqq", "b"};
  expect({"\"vocab\" has no \"qqq\""});
  root_["model"]["merges"][0] = {"", "b"};
  expect({"\"vocab\" has no \"\""});
}
TEST_F(BytePairMistakes, PatternThatTakesTooLong) {
  root_["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"] = "(a+)+b";
  const BytePairs tokenizer = parse_byte_pairs(root_, "t.json");
  testing::expect_refused<InputError>([&] { tokenizer.encode(std::string(200, 'a')); },
                                      {"(a+)+b", "U_REGEX_TIME_OUT"});
}

/// What a plan holds is checked again, whatever checksums say.
TEST(StoredBytePairs, refuses_parts_that_do_not_fit) {
  const StoredTokenizer stored = parse_byte_pairs(base_file(), "t.json").stored();
  const auto refused = [&](const std::function<void(StoredTokenizer&)>& change,
                           const std::vector<std::string>& words) {
    StoredTokenizer changed = stored;
    change(changed);
    ModelPart part;
    part.tensors = changed.tensors;
    testing::expect_refused<InputError>([&] { load_tokenizer(changed.description, part, "plan"); }, words);
  };
  const auto set_id = [](std::size_t tensor, std::size_t at, std::int32_t value) {
    return [=](StoredTokenizer& s) {
      const auto old = s.tensors[tensor].data.bytes;
      std::vector<std::byte> bytes(old.begin(), old.end());
      std::memcpy(bytes.data() + 4 * at, &value, 4);
      s.tensors[tensor].data = Blob::own(std::move(bytes));
    };
  };
  refused([](StoredTokenizer& s) { s.tensors.erase(s.tensors.begin()); }, {"tokenizer.pieces", "missing"});
  refused([](StoredTokenizer& s) { s.tensors[2].shape = {4, 2}; }, {"tokenizer.merges", "[rows, 3]"});
  refused([](StoredTokenizer& s) { s.description["kind"] = "WordPiece"; }, {"\"kind\" is \"WordPiece\""});
  refused([](StoredTokenizer& s) { s.description["steps"][0]["matches"] = "kept"; },
          {"\"matches\" is \"kept\""});
  refused([](StoredTokenizer& s) { s.description["steps"][0]["pattern"] = "("; }, {"the pattern"});
  refused([](StoredTokenizer& s) { s.description["first"] = {-1}; }, {"\"first\" is -1"});
  refused([](StoredTokenizer& s) { s.description["last"] = {5000}; }, {"the id 5000"});
  refused([](StoredTokenizer& s) { s.description["added"][0]["id"] = 5000; }, {"\"id\" is 5000"});
  refused(set_id(1, 3, 100'000), {"piece 3 ends at 100000"});
  refused(set_id(1, 3, -1), {"piece 3 ends at -1"});
  refused(set_id(2, 0, 5000), {"a piece of a merge has the id 5000"});
  refused(set_id(2, 2, 1), {"a merge makes"});
}

}  // namespace
}  // namespace cross::model
