// SentencePiece models against the reference's output (make_tokenizer_fixtures.py), and damaged files.
#include "model/tokenizer/sentence_piece.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "cross/error.h"
#include "model/fixtures.h"
#include "model/tokenizer/sentence_piece_file.h"
#include "model/tokenizer/text_stream.h"
#include "refusal.h"
#include "temp_folder.h"

namespace cross::model {
namespace {

using nlohmann::json;
using testing::fixture;
using Ids = std::vector<std::int32_t>;

json cases() { return json::parse(testing::read_file(fixture("sentence_piece.json"))); }
std::string llama_file() { return testing::read_file(fixture("sentence_piece/tokenizer.model")); }
std::string unigram_file() { return testing::read_file(fixture("sentence_piece_unigram.model")); }

class SentencePieces : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!has_sentence_piece()) GTEST_SKIP() << "this build has no SentencePiece";
  }
};

TEST_F(SentencePieces, give_the_reference_ids_for_hostile_texts) {
  const json all = cases();
  for (const auto& [name, file] : {std::pair{"llama", llama_file()}, std::pair{"unigram", unigram_file()}}) {
    const auto tokenizer = make_sentence_piece(file, {.add_first = false}, name);
    for (std::size_t i = 0; i < all["texts"].size(); ++i) {
      if (all["ids"][name][i].is_null()) continue;
      const auto text = all["texts"][i].get<std::string>();
      EXPECT_EQ(tokenizer->encode(text), all["ids"][name][i].get<Ids>())
          << name << ", text " << i << ": " << text;
    }
  }
}

TEST_F(SentencePieces, decode_as_the_reference_does) {
  const json all = cases();
  const auto tokenizer = make_sentence_piece(llama_file(), {}, "t");
  for (std::size_t i = 0; i < all["texts"].size(); ++i) {
    const json& decoded = all["decoded"]["llama"][i];
    const json& expected = decoded.is_null() ? all["texts"][i] : decoded;
    EXPECT_EQ(decode(*tokenizer, all["ids"]["llama"][i].get<Ids>()), expected.get<std::string>()) << i;
  }
}

TEST_F(SentencePieces, stream_whole_characters_and_keep_the_space_of_what_goes_on) {
  const auto tokenizer = read_tokenizer(fixture("sentence_piece"));
  const std::string text = "the cat 🧑🏽‍🚀 sat";
  TextStream stream(*tokenizer);
  std::string whole;
  for (const std::int32_t id : tokenizer->encode(text)) {
    const std::string part = stream.add(id);
    EXPECT_EQ(complete_bytes(part), part.size());
    whole += part;
  }
  EXPECT_EQ(whole + stream.finish(), text);
  TextStream goes_on(*tokenizer);
  for (const std::int32_t id : tokenizer->encode("the")) goes_on.add(id);
  const Ids more = tokenizer->encode("cat");
  EXPECT_EQ(goes_on.add(more[1]).front(), ' ');
}

TEST_F(SentencePieces, put_tokens_around_the_text_as_the_config_says) {
  const auto ids = [](const char* config) {
    return parse_sentence_piece(llama_file(), "tokenizer.model", config, "tokenizer_config.json")
        ->encode("the");
  };
  const Ids plain = ids(R"({"add_bos_token": false})");
  Ids first = plain, both = plain;
  first.insert(first.begin(), 1);
  both = first;
  both.push_back(2);
  EXPECT_EQ(ids(""), first);
  EXPECT_EQ(ids(R"({"add_eos_token": true})"), both);
  testing::expect_refused<InputError>([&] { ids(R"({"add_bos_token": 1})"); },
                                      {"tokenizer_config.json", "\"add_bos_token\" is 1", "true or false"});
}

TEST_F(SentencePieces, are_the_same_from_a_plan) {
  const auto tokenizer = read_tokenizer(fixture("sentence_piece"));
  const StoredTokenizer stored = tokenizer->stored();
  ModelPart part;
  part.tensors = stored.tensors;
  const auto again = load_tokenizer(stored.description, part, "plan");
  const json all = cases();
  for (const json& text : all["texts"])
    EXPECT_EQ(again->encode(text.get<std::string>()), tokenizer->encode(text.get<std::string>()));
  EXPECT_EQ(again->size(), 700);
  EXPECT_TRUE(again->is_special(1));
  EXPECT_EQ(again->bytes_of(1), "");
  EXPECT_EQ(again->bytes_of(-1), "");
  EXPECT_EQ(again->bytes_of(700), "");
  part.tensors.clear();
  testing::expect_refused<InputError>([&] { load_tokenizer(stored.description, part, "plan"); },
                                      {"plan", "\"tokenizer.model\"", "missing"});
}

TEST_F(SentencePieces, replace_bytes_that_are_no_text) {
  const auto tokenizer = read_tokenizer(fixture("sentence_piece"));
  EXPECT_EQ(tokenizer->encode("the\xff cat\xc3"), tokenizer->encode("the\uFFFD cat\uFFFD"));
}

TEST_F(SentencePieces, that_are_damaged_are_refused) {
  testing::expect_refused<InputError>([] { make_sentence_piece("not a model", {}, "t.model"); },
                                      {"t.model", "no SentencePiece model"});
  testing::expect_refused<InputError>([] { make_sentence_piece("", {}, "t.model"); }, {"t.model"});
  testing::expect_refused<InputError>([] { make_sentence_piece("IQ== 0\nIg== 1\n", {}, "t.model"); },
                                      {"t.model", "tiktoken", "tokenizer.json"});
  const std::string whole = llama_file();
  for (std::size_t size = 1; size < whole.size(); size += 997)
    testing::expect_refused<InputError>([&] { make_sentence_piece(whole.substr(0, size), {}, "t.model"); },
                                        {"t.model"});
}

/// The library would follow these offsets out of its tables.
TEST(SentencePieceFiles, with_unsound_tables_are_refused) {
  const std::string whole = unigram_file();
  EXPECT_TRUE(check_sentence_piece_file(whole, "t.model").drops_first_space);
  const std::size_t name = whole.find("user_defined");
  ASSERT_NE(name, std::string::npos);
  const std::size_t map = name + 12;  // tag, length in two or three bytes, then the size of the trie
  std::size_t trie = map + 1;
  while (static_cast<unsigned char>(whole[trie]) >= 0x80) ++trie;
  ++trie;
  std::string damaged = whole;
  damaged[trie + 2] = '\x7f';  // a trie larger than the map
  testing::expect_refused<InputError>([&] { check_sentence_piece_file(damaged, "t.model"); },
                                      {"t.model", "table of its normalisation"});
  for (const char byte :
       {'\x7f', '\xff'}) {  // its root leads far away, also where it looks like no place for a key
    damaged = whole;
    damaged[trie + 4 + 3] = byte;
    testing::expect_refused<InputError>([&] { check_sentence_piece_file(damaged, "t.model"); },
                                        {"t.model", "table of its normalisation"});
  }
}

TEST(TokenizerFiles, that_are_not_there_or_of_another_kind) {
  const testing::TempFolder folder;
  EXPECT_EQ(read_tokenizer(folder.path()), nullptr);
  folder.write("tokenizer.json", R"({"model": {"type": "Unigram"}})");
  testing::expect_refused<InputError>([&] { read_tokenizer(folder.path()); },
                                      {"tokenizer.json: model", "\"Unigram\"", "ByteLevel"});
  folder.write("tokenizer.json",
               R"({"model": {"type": "BPE"}, "decoder": {"type": "Sequence", "decoders": []}})");
  testing::expect_refused<InputError>([&] { read_tokenizer(folder.path()); },
                                      {"tokenizer.json", "BPE of characters", "tokenizer.model"});
  folder.write("tokenizer.json", "[]");
  testing::expect_refused<InputError>([&] { read_tokenizer(folder.path()); },
                                      {"tokenizer.json", "not an object"});
}

}  // namespace
}  // namespace cross::model
