// Whole models on the command line: from a folder to embeddings, and the mistakes on the way.
#include "cross/model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "cli/run_cross.h"
#include "cross/plan.h"
#include "io/npy.h"
#include "model/fixtures.h"

namespace cross::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

class ModelCommands : public CrossCommands {
 protected:
  static std::string tiny_bert() { return fixture("tiny_bert").string(); }

  /// A model plan of tiny_bert.
  std::string compile() const {
    done({"compile", tiny_bert(), "-o", path("tiny.plan"), "--tokens", "16", "--no-measure"});
    return path("tiny.plan");
  }
  /// A copy of tiny_bert whose file `name` is `content`.
  std::string changed(const std::string& name, const std::string& content) const {
    const std::filesystem::path copy = path("changed");
    std::filesystem::copy(fixture("tiny_bert"), copy, std::filesystem::copy_options::recursive);
    std::ofstream(copy / name, std::ios::binary) << content;
    return copy.string();
  }
  std::string changed_config(const std::string& pointer, const nlohmann::json& value) const {
    auto config = nlohmann::json::parse(read_file(fixture("tiny_bert/config.json")));
    config[nlohmann::json::json_pointer(pointer)] = value;
    return changed("config.json", config.dump());
  }
  std::string text(const std::string& content = "the cat sat\n\nHello, World!\n") const {
    return folder_.folder().write("text.txt", content).string();
  }
};

TEST_F(ModelCommands, FromFolderToEmbeddings) {
  const std::string plan = compile();
  EXPECT_THAT(done({"explain", plan}).out, HasSubstr("query_key_value: 108x36"));
  EXPECT_THAT(done({"verify", plan, tiny_bert()}).out, HasSubstr("all 8 layers passed"));

  EXPECT_THAT(done({"embed", plan, "--text", text(), "--output", path("e.npy")}).out,
              HasSubstr("3 sentences -> 36"));
  const io::FloatMatrix embeddings = io::read_npy(path("e.npy"));
  EXPECT_EQ(embeddings.rows, 3);
  const Model reference = Model::load(fixture("tiny_bert.safetensors"));
  const Tensor* expected = reference.find("embedding.2");  // "Hello, World!"
  ASSERT_NE(expected, nullptr);
  for (int i = 0; i < 36; ++i)
    EXPECT_NEAR(embeddings.values[static_cast<std::size_t>(2 * 36 + i)],
                reinterpret_cast<const float*>(expected->bytes.data())[i], 1e-5);

  const auto json =
      done({"embed", plan, "--text", text(), "--output", path("e.npy"), "--batch", "1", "--json"}).json();
  EXPECT_EQ(json["sentences"], 3);
  EXPECT_EQ(json["pooling"], "mean");
  EXPECT_EQ(json["normalised"], true);
}

TEST_F(ModelCommands, BenchOfTheWholeModel) {
  const std::string plan = compile();
  const std::vector<std::string> bench = {"bench",    plan, "--sentences", "3",
                                          "--length", "9",  "--seconds",   "0.01"};
  EXPECT_THAT(done(bench).out, AllOf(HasSubstr("sentences/s"), HasSubstr("not weight products")));
  auto with_json = bench;
  with_json.push_back("--json");
  const auto json = done(with_json).json();
  EXPECT_EQ(json["architecture"], "BertModel");
  EXPECT_EQ(json["parts"].size(), 7u);
  EXPECT_GT(json["speedup"], 0);
  EXPECT_GT(json["least_cosine"], 0.9999);
  EXPECT_THAT(done({"bench", plan, "--layers-only", "--seconds", "0.01"}).out, HasSubstr("total, tokens"));
}

TEST_F(ModelCommands, EvalAgainstTheModelItself) {
  const auto json = done({"eval", compile(), "--reference", tiny_bert(), "--text",
                          text("a b\nc d\nthe moon\nhome\n"), "--json"})
                        .json();
  EXPECT_EQ(json["sentences"], 4);
  EXPECT_EQ(json["pairs"], 6);
  EXPECT_EQ(json["rank_correlation"], 1.0);
  EXPECT_GT(json["least_cosine"], 0.99999);
}

TEST_F(ModelCommands, ReadsStandardInput) {
  const std::string plan = compile();
  const CrossResult result = folder_.run({"embed", plan, "--text", "-", "--output", path("e.npy")});
  EXPECT_EQ(result.code, 2);  // the tests give no input
  EXPECT_THAT(result.err, HasSubstr("standard input: is empty"));
}

TEST_F(ModelCommands, UnknownArchitecture) {
  const std::string model = changed_config("/architectures/0", "GPT2LMHeadModel");
  expect({"compile", model, "-o", path("p"), "--whole-model"}, 3,
         {"config.json", "\"architectures\"", "\"GPT2LMHeadModel\"", "BertModel"});
  const CrossResult layers = done({"compile", model, "-o", path("p"), "--no-measure"});
  EXPECT_THAT(layers.err, AllOf(HasSubstr("a plan of layers alone"), HasSubstr("GPT2LMHeadModel")));
  EXPECT_FALSE(Plan::load(path("p")).model);
}
TEST_F(ModelCommands, LayersOnly) {
  EXPECT_EQ(done({"compile", tiny_bert(), "-o", path("p"), "--layers-only", "--no-measure"}).err, "");
  const Plan plan = Plan::load(path("p"));
  EXPECT_FALSE(plan.model);
  EXPECT_EQ(plan.layers.size(), 12u);
  EXPECT_THAT(done({"compile", tiny_bert(), "-o", path("p"), "--include", "*query*", "--no-measure"}).err,
              HasSubstr("a selection of layers makes no whole model"));
  expect({"compile", tiny_bert(), "-o", path("q"), "--layers-only", "--whole-model"}, 2, {"contradict"});
  expect({"compile", tiny_bert(), "-o", path("q"), "--include", "*query*", "--whole-model"}, 2,
         {"--include"});
  expect({"compile", tiny_smtx(), "-o", path("q"), "--whole-model"}, 3, {"has no config.json"});
}
TEST_F(ModelCommands, PlanOfLayers) {
  const std::string plan = folder_.compile_tiny();
  text();
  expect({"embed", plan, "--text", path("text.txt"), "--output", path("e.npy")}, 2,
         {"layers alone", "cross compile"});
  expect({"eval", plan, "--reference", tiny_bert(), "--text", path("text.txt")}, 2, {"layers alone"});
  expect({"bench", plan, "--sentences", "2"}, 2, {"--sentences", "layers alone"});
}
TEST_F(ModelCommands, DamagedConfig) {
  expect({"compile", changed("config.json", "{"), "-o", path("p")}, 3, {"config.json"});
}
TEST_F(ModelCommands, SizesThatDoNotFit) {
  expect({"compile", changed_config("/num_attention_heads", 5), "-o", path("p")}, 3,
         {"config.json", "\"num_attention_heads\" is 5", "divisor"});
}
TEST_F(ModelCommands, TensorOfAnotherSize) {
  expect({"compile", changed_config("/intermediate_size", 71), "-o", path("p")}, 3,
         {"model.safetensors", "intermediate.dense.weight", "[70, 36]", "[71, 36]"});
}
TEST_F(ModelCommands, TensorThatIsMissing) {
  expect({"compile", changed_config("/num_hidden_layers", 3), "-o", path("p")}, 3,
         {"encoder.layer.2", "is missing"});
}
TEST_F(ModelCommands, UnknownActivation) {
  expect({"compile", changed_config("/hidden_act", "mish"), "-o", path("p")}, 3,
         {"\"hidden_act\" is \"mish\"", "gelu"});
}
TEST_F(ModelCommands, RelativePositions) {
  expect({"compile", changed_config("/position_embedding_type", "relative_key"), "-o", path("p")}, 3,
         {"\"position_embedding_type\"", "absolute"});
}
TEST_F(ModelCommands, UnknownPooling) {
  const std::string model = changed(
      "1_Pooling/config.json", R"({"pooling_mode_mean_tokens": false, "pooling_mode_max_tokens": true})");
  expect({"compile", model, "-o", path("p")}, 3, {"1_Pooling", "\"max_tokens\"", "cls_token"});
}
TEST_F(ModelCommands, UnknownModule) {
  const std::string model =
      changed("modules.json", R"([{"type": "sentence_transformers.models.Dense", "path": "3_Dense"}])");
  expect({"compile", model, "-o", path("p")}, 3, {"modules.json", "models.Dense", "Normalize"});
}
TEST_F(ModelCommands, ModuleOutsideTheFolder) {
  const std::string model =
      changed("modules.json", R"([{"type": "sentence_transformers.models.Pooling", "path": "../x"}])");
  expect({"compile", model, "-o", path("p")}, 3, {"modules.json", "\"path\"", "folder beside"});
}
TEST_F(ModelCommands, NoTokenizer) {
  const std::string model = changed("config.json", read_file(fixture("tiny_bert/config.json")));
  std::filesystem::remove(std::filesystem::path(model) / "tokenizer.json");
  std::filesystem::remove(std::filesystem::path(model) / "vocab.txt");
  expect({"compile", model, "-o", path("p")}, 3, {"neither tokenizer.json nor vocab.txt", "--layers-only"});
}
TEST_F(ModelCommands, TextThatIsNone) {
  const std::string plan = compile();
  expect({"embed", plan, "--text", path("none.txt"), "--output", path("e.npy")}, 2, {"none.txt"});
  const std::string bytes = text("fine\nbad \xff byte\n");
  expect({"embed", plan, "--text", bytes, "--output", path("e.npy")}, 3,
         {"text.txt: line 2", "not UTF-8", "byte 5"});
  const std::string empty = text("");
  expect({"embed", plan, "--text", empty, "--output", path("e.npy")}, 2, {"is empty"});
}
TEST_F(ModelCommands, BatchesThatMakeNoSense) {
  const std::string plan = compile();
  const std::string lines = text();
  expect({"embed", plan, "--text", lines, "--output", path("e.npy"), "--batch", "0"}, 2, {"--batch 0"});
  expect({"bench", plan, "--length", "33"}, 2, {"33 tokens", "1 to 32"});
  expect({"bench", plan, "--sentences", "-1"}, 2, {"-1 sentences"});
  expect({"bench", plan, "--sentences", "2", "--tokens", "8"}, 2, {"--sentences", "--tokens measure layers"});
}
TEST_F(ModelCommands, EvalWithoutEnoughPairs) {
  const std::string plan = compile();
  const std::string lines = text("one\ntwo\n");
  expect({"eval", plan, "--reference", tiny_bert(), "--text", lines}, 2, {"2 sentences", "at least 3"});
}
TEST_F(ModelCommands, OutputThatIsAnInput) {
  const std::string plan = compile();
  const std::string lines = text();
  expect({"embed", plan, "--text", lines, "--output", lines}, 2, {"would overwrite"});
}

TEST_F(ModelCommands, BenchOfADecoder) {
  const std::string plan = path("llama.plan");
  done({"compile", fixture("tiny_decoders/llama").string(), "-o", plan, "--tokens", "1,16", "--no-measure"});
  EXPECT_THAT(done({"explain", plan}).out, HasSubstr("gate_up_proj: 52x36"));
  EXPECT_THAT(done({"verify", plan, fixture("tiny_decoders/llama").string()}).out,
              HasSubstr("all 9 layers passed"));
  const std::vector<std::string> bench = {"bench",      plan, "--prompt",  "9",
                                          "--generate", "2",  "--seconds", "0.1"};
  EXPECT_THAT(done(bench).out,
              AllOf(HasSubstr("prefill, 9 tokens"), HasSubstr("decode, 2 tokens after them"),
                    HasSubstr("not weight products"), HasSubstr("tied: the embedding table")));
  auto with_json = bench;
  with_json.emplace_back("--json");
  const auto report = nlohmann::json::parse(done(with_json).out);
  EXPECT_EQ(report.at("architecture"), "LlamaForCausalLM");
  for (const char* phase : {"prefill", "decode"}) {
    EXPECT_GT(report.at(phase).at("cross_tokens_per_s"), 0) << phase;
    EXPECT_GT(report.at(phase).at("least_cosine"), 0.9999) << phase;
    EXPECT_EQ(report.at(phase).at("parts").size(), 11u) << phase;
  }
  expect({"bench", plan, "--sentences", "3"}, 2, {"--sentences", "--prompt"});
  expect({"bench", plan, "--prompt", "200000"}, 2, {"a prompt of 200000 tokens"});
  expect({"bench", compile(), "--prompt", "3"}, 2, {"--prompt", "for decoders"});
  expect({"embed", plan, "--text", text(), "--output", path("e.npy")}, 2,
         {"LlamaForCausalLM", "come from an encoder"});
}

}  // namespace
}  // namespace cross::testing
