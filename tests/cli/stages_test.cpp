// --dump-stage: what every stage made of every layer.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

#include "cli/run_cross.h"

namespace cross::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<nlohmann::json> lines_of(const std::string& text) {
  std::vector<nlohmann::json> values;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) values.push_back(nlohmann::json::parse(line));
  return values;
}

TEST(DumpStage, AllInOrderOnStdout) {
  const CrossFolder folder;
  const CrossResult result = folder.run(
      {"compile", tiny_smtx(), "-o", folder.path("t.plan"), "--no-measure", "--dump-stage", "all"});
  ASSERT_EQ(result.code, 0) << result.err;
  std::vector<std::string> stages;
  for (const auto& line : lines_of(result.out)) {
    EXPECT_EQ(line["layer"], "tiny");
    EXPECT_TRUE(line.contains("result"));
    stages.push_back(line["stage"]);
  }
  EXPECT_THAT(stages, ElementsAre("analyse", "reorder", "cost", "partition", "pack", "balance"));
  EXPECT_THAT(result.err, HasSubstr("1 layer, fp32"));  // the summary gave way
}

TEST(DumpStage, OneToAFile) {
  const CrossFolder folder;
  const CrossResult result =
      folder.run({"compile", folder.write_small_model(), "-o", folder.path("t.plan"), "--no-measure",
                  "--dump-stage", "analyse", "--dump-to", folder.path("dump")});
  ASSERT_EQ(result.code, 0) << result.err;
  const auto lines = lines_of(read_file(folder.path("dump")));
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(lines[1]["layer"], "b");
  EXPECT_THAT(result.out, HasSubstr("2 layers, fp32"));
}

}  // namespace
}  // namespace cross::testing
