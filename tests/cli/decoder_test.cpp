// Decoders on the command line: prune, compile, generate, eval, and the mistakes on the way.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>

#include "cli/run_cross.h"
#include "model/fixtures.h"

namespace cross::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

class DecoderCommands : public CrossCommands {
 protected:
  static std::string tiny_story() { return fixture("tiny_story").string(); }

  std::string compile(const std::string& model) const {
    done({"compile", model, "-o", path("story.plan"), "--tokens", "1,16", "--no-measure"});
    return path("story.plan");
  }
  std::string compile() const { return compile(tiny_story()); }
  std::string text(const std::string& content) const {
    return folder_.folder().write("text.txt", content).string();
  }
  /// A copy of the model whose file `name` is `content`.
  std::string changed(const std::string& name, const std::string& content) const {
    std::filesystem::copy(fixture("tiny_story"), path("changed"), std::filesystem::copy_options::recursive);
    std::ofstream(path("changed") + "/" + name, std::ios::binary) << content;
    return path("changed");
  }
  const nlohmann::json story_ = nlohmann::json::parse(read_file(fixture("tiny_story.json")));
};

TEST_F(DecoderCommands, FromFolderToText) {
  done({"prune", tiny_story(), "-o", path("pruned"), "--sparsity", "0.5"});
  const std::string plan = compile(path("pruned"));
  for (std::size_t i = 0; i < story_["prompts"].size(); ++i) {
    const auto prompt = story_["prompts"][i].get<std::string>();
    const auto json = done({"generate", plan, "--prompt", prompt, "--max-tokens", "20", "--json"}).json();
    EXPECT_EQ(json["tokens"], story_["ids"][i]);
    EXPECT_EQ(json["text"], story_["texts"][i]);
  }
  const CrossResult streamed =
      done({"generate", plan, "--prompt-file", text(story_["prompts"][2]), "--max-tokens", "20"});
  EXPECT_EQ(streamed.out, story_["texts"][2].get<std::string>() + "\n");
  EXPECT_THAT(streamed.err,
              AllOf(HasSubstr("prompt: "), HasSubstr("20 new, "), HasSubstr("ended by max tokens")));
  EXPECT_EQ(done({"generate", plan, "--prompt", "a", "-q", "--max-tokens", "3"}).err, "");

  const std::vector<std::string> eval = {
      "eval", plan, "--reference", tiny_story(), "--text", text(story_["text"]), "--window", "32"};
  EXPECT_THAT(done(eval).out,
              AllOf(HasSubstr("windows of 32 every 16"), HasSubstr("perplexity"), HasSubstr("decode")));
  auto with_json = eval;
  with_json.push_back("--json");
  const auto json = done(with_json).json();
  EXPECT_EQ(json["tokens"], story_["tokens"]);
  for (const char* side : {"reference", "plan"}) {
    EXPECT_NEAR(std::log(json[side]["perplexity"].get<double>()), story_["nll"].get<double>(), 1e-4) << side;
    EXPECT_GT(json[side]["decode_tokens_per_s"], 0);
  }
}

TEST_F(DecoderCommands, GenerateDrawsByItsSeed) {
  const std::string plan = compile();
  const auto ids = [&](const std::vector<std::string>& more) {
    std::vector<std::string> line = {"generate", plan, "--prompt", "The", "--max-tokens", "12", "--json"};
    line.insert(line.end(), more.begin(), more.end());
    return done(line).json()["tokens"];
  };
  EXPECT_EQ(ids({"--seed", "3"}), ids({"--seed", "3", "--temperature", "1"}));
  EXPECT_NE(ids({"--seed", "3"}), ids({"--seed", "4"}));
  EXPECT_EQ(ids({"--temperature", "2", "--top-k", "1"}), ids({}));
}

TEST_F(DecoderCommands, GenerateThatMakesNoSense) {
  const std::string plan = compile();
  const auto generate = [&](const std::vector<std::string>& more) {
    std::vector<std::string> line = {"generate", plan};
    line.insert(line.end(), more.begin(), more.end());
    return line;
  };
  expect(generate({}), 2, {"--prompt", "--prompt-file"});
  expect(generate({"--prompt", "a", "--prompt-file", text("a")}), 2, {"either --prompt or --prompt-file"});
  expect(generate({"--prompt", "bad \xff"}), 2, {"--prompt", "not UTF-8", "byte 5"});
  expect(generate({"--prompt-file", path("none")}), 2, {"none", "no such file"});
  expect(generate({"--prompt-file", text("bad \xff")}), 3, {"text.txt", "not UTF-8", "byte 5"});
  expect(generate({"--prompt-file", text("")}), 2, {"is empty"});
  expect(generate({"--prompt", "a", "--max-tokens", "0"}), 2, {"0 new tokens"});
  expect(generate({"--prompt", "a", "--temperature", "-1"}), 2, {"temperature of -1"});
  expect(generate({"--prompt", "a", "--top-k", "-1"}), 2, {"top-k of -1"});
  expect(generate({"--prompt", "a", "--top-p", "0"}), 2, {"top-p of 0"});
  std::string longer;
  for (int i = 0; i < 100; ++i) longer += "a1";
  expect(generate({"--prompt", longer}), 2, {"the prompt has", "longest sequence is 64"});
}
TEST_F(DecoderCommands, GenerateWithoutDecoder) {
  expect({"generate", folder_.compile_tiny(), "--prompt", "a"}, 2, {"layers alone"});
  done({"compile", fixture("tiny_bert").string(), "-o", path("bert.plan"), "--no-measure"});
  expect({"generate", path("bert.plan"), "--prompt", "a"}, 2, {"BertModel", "only a decoder continues it"});
  expect({"generate", tiny_story() + "/model.safetensors", "--prompt", "a"}, 2, {"is a model, not a plan"});
}
TEST_F(DecoderCommands, GenerateWithoutTokeniser) {
  expect({"generate", compile(fixture("tiny_decoders/llama").string()), "--prompt", "a"}, 2,
         {"no tokeniser", "tokenizer.json"});
}
TEST_F(DecoderCommands, EmbedOfADecoder) {
  expect({"embed", compile(), "--text", text("a\n"), "--output", path("e.npy")}, 2,
         {"LlamaForCausalLM", "embeddings come from an encoder"});
}
TEST_F(DecoderCommands, UnknownTokeniser) {
  auto tokenizer = nlohmann::json::parse(read_file(fixture("tiny_story/tokenizer.json")));
  tokenizer["pre_tokenizer"]["pretokenizers"][0] = {{"type", "Metaspace"}};
  expect({"compile", changed("tokenizer.json", tokenizer.dump()), "-o", path("p")}, 3,
         {"tokenizer.json: pre_tokenizer", "\"Metaspace\""});
}
TEST_F(DecoderCommands, TokeniserLargerThanTheModel) {
  auto tokenizer = nlohmann::json::parse(read_file(fixture("tiny_story/tokenizer.json")));
  tokenizer["added_tokens"].push_back({{"id", 5000}, {"content", "<far>"}, {"special", true}});
  expect({"compile", changed("tokenizer.json", tokenizer.dump()), "-o", path("p")}, 3,
         {"5001 tokens", "\"vocab_size\""});
}
TEST_F(DecoderCommands, GenerateFromAFolder) {
  expect({"generate", tiny_story(), "--prompt", "a"}, 2, {"is a model, not a plan", "cross compile"});
}
TEST_F(DecoderCommands, FolderWithoutTokeniserOrWeights) {
  const std::string model = changed("README", "");
  std::filesystem::remove(path("changed") + "/tokenizer.json");
  expect({"generate", compile(model), "--prompt", "a"}, 2, {"no tokeniser", "neither tokenizer.json nor"});
  std::filesystem::remove(path("changed") + "/model.safetensors");
  expect({"compile", model, "-o", path("p")}, 2, {"changed", "neither model.safetensors nor"});
}
TEST_F(DecoderCommands, UnknownArchitecture) {
  auto config = nlohmann::json::parse(read_file(fixture("tiny_story/config.json")));
  config["architectures"][0] = "GemmaForCausalLM";
  const std::string model = changed("config.json", config.dump());
  expect({"compile", model, "-o", path("p"), "--whole-model"}, 3,
         {"config.json", "\"GemmaForCausalLM\"", "LlamaForCausalLM"});
  EXPECT_THAT(done({"compile", model, "-o", path("p"), "--no-measure"}).err,
              AllOf(HasSubstr("a plan of layers alone"), HasSubstr("GemmaForCausalLM")));
}
TEST_F(DecoderCommands, FieldsOfConfigThatAreWrong) {
  const auto config = nlohmann::json::parse(read_file(fixture("tiny_story/config.json")));
  const auto compiling = [&](const char* field, const nlohmann::json& value) -> std::vector<std::string> {
    std::filesystem::remove_all(path("changed"));
    auto other = config;
    other[field] = value;
    return {"compile", changed("config.json", other.dump()), "-o", path("p")};
  };
  expect(compiling("hidden_act", "gelu"), 3, {"config.json", "\"hidden_act\" is \"gelu\"", "silu"});
  expect(compiling("num_key_value_heads", 3), 3, {"config.json", "\"num_key_value_heads\"", "divisor"});
  expect(compiling("rope_parameters", {{"rope_type", "longrope"}}), 3, {"config.json", "longrope", "yarn"});
  expect(compiling("num_hidden_layers", 99), 3, {"model.layers.", "is missing"});
  expect(compiling("vocab_size", 4096), 3, {"embed_tokens", "[4096, "});
}
TEST_F(DecoderCommands, DamagedGenerationConfig) {
  expect({"compile", changed("generation_config.json", "{"), "-o", path("p")}, 3, {"generation_config.json"});
  std::ofstream(path("changed") + "/generation_config.json") << R"({"eos_token_id": 123456})";
  expect({"compile", path("changed"), "-o", path("p")}, 3,
         {"generation_config.json", "\"eos_token_id\" is 123456", "token id below"});
}
TEST_F(DecoderCommands, BenchThatMakesNoSense) {
  const std::string plan = compile();
  expect({"bench", plan, "--prompt", "-1"}, 2, {"a prompt of -1 tokens"});
  expect({"bench", plan, "--prompt", "0"}, 2, {"a prompt of 0 tokens"});
  expect({"bench", plan, "--generate", "-1"}, 2, {"-1 more"});
  expect({"bench", plan, "--prompt", "4", "--tokens", "8"}, 2, {"--prompt", "--tokens measure layers"});
  expect({"bench", plan, "--length", "4"}, 2, {"--length", "are for encoders"});
}
TEST_F(DecoderCommands, EvalOptionsOfEncoders) {
  expect({"eval", compile(), "--reference", tiny_story(), "--text", text("the cat"), "--batch", "4"}, 2,
         {"--batch is for encoders", "LlamaForCausalLM"});
}
TEST_F(DecoderCommands, EvalWithoutTokeniser) {
  const auto llama = fixture("tiny_decoders/llama").string();
  expect({"eval", compile(llama), "--reference", llama, "--text", text("the cat")}, 2,
         {"no tokeniser", "tokenizer.json"});
}
TEST_F(DecoderCommands, EvalOfNothing) {
  const std::string plan = compile();
  expect({"eval", plan, "--reference", tiny_story(), "--text", text("")}, 2, {"is empty"});
  expect({"eval", plan, "--reference", plan, "--text", text("the cat")}, 2,
         {"story.plan", "unknown kind of model"});
}
TEST_F(DecoderCommands, EvalThatMakesNoSense) {
  const std::string plan = compile();
  const std::vector<std::string> eval = {"eval",       plan,     "--reference",
                                         tiny_story(), "--text", text("the cat")};
  auto window = eval;
  window.insert(window.end(), {"--window", "65"});
  expect(window, 2, {"window of 65", "2 to 64"});
  auto stride = eval;
  stride.insert(stride.end(), {"--stride", "64"});
  expect(stride, 2, {"stride of 64"});
  expect({"eval", plan, "--reference", fixture("tiny_bert").string(), "--text", path("text.txt")}, 2,
         {"BertModel", "only a decoder"});
  done({"compile", fixture("tiny_bert").string(), "-o", path("bert.plan"), "--no-measure"});
  expect({"eval", path("bert.plan"), "--reference", fixture("tiny_bert").string(), "--text", path("text.txt"),
          "--window", "8"},
         2, {"--window", "for decoders", "BertModel"});
  auto tokenizer = nlohmann::json::parse(read_file(fixture("tiny_story/tokenizer.json")));
  tokenizer["post_processor"] = nullptr;
  expect(
      {"eval", plan, "--reference", changed("tokenizer.json", tokenizer.dump()), "--text", path("text.txt")},
      2, {"other tokens than the plan"});
}

}  // namespace
}  // namespace cross::testing
