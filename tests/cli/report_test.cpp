// cross report: the page, the numbers, and the mistakes on the way.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "cli/run_cross.h"
#include "model/fixtures.h"
#include "prune/models.h"
#include "report/well_formed.h"

namespace cross::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class ReportCommand : public CrossCommands {
 protected:
  static std::string tiny_bert() { return fixture("tiny_bert").string(); }
  std::string model_plan() const {
    done({"compile", tiny_bert(), "-o", path("m.plan"), "--tokens", "16", "--no-measure"});
    return path("m.plan");
  }
  std::string text() const {
    return folder_.folder().write("text.txt", "a b\nc d\nthe moon\nhome\n").string();
  }
};

TEST_F(ReportCommand, OfAPlanOfLayers) {
  const std::string model = folder_.write_small_model();
  done({"compile", model, "-o", path("p"), "--tokens", "1,8", "--threads", "2", "--format", "index8"});
  EXPECT_THAT(done({"report", path("p"), "-o", path("r.html")}).out,
              AllOf(HasSubstr("at 8 tokens"), HasSubstr("measured when compiled"), HasSubstr("r.html")));
  const std::string page = read_file(path("r.html"));
  EXPECT_EQ(ill_formed(page), "");
  EXPECT_THAT(
      page, AllOf(HasSubstr("model.safetensors"), HasSubstr("96 × 160"), HasSubstr("Predicted and measured"),
                  HasSubstr("Worker loads before and after balance")));
  // A page that is there is replaced.
  done({"report", path("p"), "-o", path("r.html"), "--bench", "--seconds", "0.01"});
  EXPECT_THAT(read_file(path("r.html")), HasSubstr("measured for this report"));
}

TEST_F(ReportCommand, OfAModelPlan) {
  const auto result = done({"report", model_plan(), "-o", path("r.html"), "--reference", tiny_bert(),
                            "--text", text(), "--bench", "--seconds", "0.01"});
  EXPECT_THAT(result.out, AllOf(HasSubstr("sentences/s"), HasSubstr("rank correlation 1.0000")));
  const std::string page = read_file(path("r.html"));
  EXPECT_EQ(ill_formed(page), "");
  EXPECT_THAT(page, AllOf(HasSubstr("BertModel"), HasSubstr("feed-forward"), HasSubstr("rank correlation")));
}

TEST_F(ReportCommand, OfADecoder) {
  const auto story = fixture("tiny_story").string();
  const auto facts = nlohmann::json::parse(read_file(fixture("tiny_story.json")));
  const std::string text = folder_.folder().write("story.txt", facts["text"].get<std::string>()).string();
  done({"compile", story, "-o", path("d.plan"), "--tokens", "1,16", "--no-measure"});
  const std::vector<std::string> report = {"report", path("d.plan"), "--reference", story, "--text",
                                           text,     "--bench",      "--prompt",    "9",   "--generate",
                                           "2",      "--seconds",    "0.01"};
  auto to_page = report;
  to_page.insert(to_page.end(), {"-o", path("r.html")});
  EXPECT_THAT(done(to_page).out, AllOf(HasSubstr("prefill "), HasSubstr("decode "), HasSubstr("tokens/s"),
                                       HasSubstr("perplexity ")));
  const std::string page = read_file(path("r.html"));
  EXPECT_EQ(ill_formed(page), "");
  EXPECT_THAT(
      page, AllOf(HasSubstr("Prefill: a prompt of 9 tokens"), HasSubstr("Decode: 2 tokens after the prompt"),
                  HasSubstr("gate and up"), HasSubstr("Quality: perplexity")));
  auto to_json = report;
  to_json.emplace_back("--json");
  const auto json = done(to_json).json();
  const auto perplexity = [&](const char* side) { return json["quality"][side]["perplexity"].get<double>(); };
  EXPECT_NEAR(std::log(perplexity("plan")), std::log(perplexity("reference")), 1e-4);  // nothing was pruned
  EXPECT_GT(json["model"]["decode"]["speedup"], 0);
  EXPECT_EQ(json["model"]["prefill"]["tokens"], 9);

  done({"report", path("d.plan"), "-o", path("r.html")});
  EXPECT_THAT(read_file(path("r.html")), HasSubstr("Not measured"));
  expect({"report", path("d.plan"), "-o", path("q.html"), "--bench", "--sentences", "3"}, 2,
         {"--sentences", "--prompt"});
  expect({"report", path("d.plan"), "-o", path("q.html"), "--prompt", "3"}, 2, {"--bench"});
  expect({"report", path("d.plan"), "-o", path("q.html"), "--reference", tiny_bert(), "--text", text}, 2,
         {"BertModel", "only a decoder"});
}

TEST_F(ReportCommand, TheNumbers) {
  const auto json =
      done({"report", model_plan(), "--reference", tiny_bert(), "--text", text(), "--json"}).json();
  EXPECT_EQ(json["architecture"], "BertModel");
  EXPECT_EQ(json["quality"]["rank_correlation"], 1.0);
  EXPECT_TRUE(json["model"].is_null());
  const auto& layer = json["plan"]["layers"][0];
  EXPECT_EQ(layer["times"][0]["tokens"], 16);
  EXPECT_EQ(layer["times"][0]["evidence"], "predicted");
  EXPECT_EQ(layer["heat_map"]["density"].size(), 7u * 3u);  // 108x36 in blocks of 16
  EXPECT_FALSE(folder_.has("r.html"));
}

TEST_F(ReportCommand, AModelIsNoPlan) {
  expect({"report", folder_.write_small_model(), "-o", path("r.html")}, 2,
         {"is a model, not a plan", "cross compile"});
}
TEST_F(ReportCommand, NoSuchPlan) {
  expect({"report", path("none.plan"), "-o", path("r.html")}, 2, {"none.plan", "no such file"});
}
TEST_F(ReportCommand, DamagedPlan) {
  folder_.folder().write("cut.plan", read_file(folder_.compile_tiny()).substr(0, 200));
  expect({"report", path("cut.plan"), "-o", path("r.html")}, 3, {"cut.plan"});
}
TEST_F(ReportCommand, NowhereToWrite) {
  expect({"report", folder_.compile_tiny()}, 2, {"--output"});
  expect({"report", path("tiny.plan"), "-o", ""}, 2, {"--output"});
}
TEST_F(ReportCommand, OutputThatIsAFolder) {
  expect({"report", folder_.compile_tiny(), "-o", folder_.folder().path().string()}, 2, {"is a folder"});
}
TEST_F(ReportCommand, OutputInNoFolder) {
  expect({"report", folder_.compile_tiny(), "-o", path("none/r.html")}, 2, {"there is no folder"});
}
TEST_F(ReportCommand, OutputIsTheInput) {
  const std::string plan = folder_.compile_tiny();
  const std::string before = read_file(plan);
  expect({"report", plan, "-o", plan}, 2, {"would overwrite"});
  EXPECT_EQ(read_file(plan), before);
}
TEST_F(ReportCommand, OutputThatIsADevice) {
  expect({"report", folder_.compile_tiny(), "-o", "/dev/null"}, 3, {"/dev/null", "not a regular file"});
}
TEST_F(ReportCommand, ReferenceWithoutText) {
  const std::string plan = model_plan();
  expect({"report", plan, "-o", path("r.html"), "--reference", tiny_bert()}, 2, {"--reference and --text"});
  expect({"report", plan, "-o", path("r.html"), "--text", text()}, 2, {"--reference and --text"});
}
TEST_F(ReportCommand, ReferenceForAPlanOfLayers) {
  const std::string plan = folder_.compile_tiny();
  const std::string sentences = text();
  expect({"report", plan, "-o", path("r.html"), "--reference", tiny_bert(), "--text", sentences}, 2,
         {"layers alone"});
}
TEST_F(ReportCommand, OptionsOfBenchWithoutBench) {
  const std::string plan = folder_.compile_tiny();
  expect({"report", plan, "-o", path("r.html"), "--seconds", "1"}, 2, {"--bench"});
  expect({"report", plan, "-o", path("r.html"), "--baseline", "onednn"}, 2, {"--bench"});
  expect({"report", plan, "-o", path("r.html"), "--bench", "--prompt", "9"}, 2, {"--prompt", "layers alone"});
  expect({"report", plan, "-o", path("r.html"), "--bench", "--baseline", "mkl"}, 2, {"mkl", "onednn"});
  expect({"report", plan, "-o", path("r.html"), "--bench", "--seconds", "-1"}, 2, {"--seconds -1"});
}
// A name can close elements, attributes and comments only if it is not escaped.
TEST_F(ReportCommand, EvilLayerName) {
  const std::string name = "</script><img src=x onerror=alert(1)>\"'&";
  write_model(path("evil.safetensors"), {{name + ".weight", {32, 48}, std::vector<float>(32 * 48, 1.0f)}});
  done({"compile", path("evil.safetensors"), "-o", path("p"), "--no-measure"});
  done({"report", path("p"), "-o", path("r.html")});
  const std::string page = read_file(path("r.html"));
  EXPECT_EQ(ill_formed(page), "");
  EXPECT_THAT(page, AllOf(HasSubstr("&lt;img src=x onerror"), Not(HasSubstr("<img"))));
}

}  // namespace
}  // namespace cross::testing
