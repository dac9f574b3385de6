#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/run_cross.h"
#include "cross/version.h"

namespace cross::testing {
namespace {

using ::testing::HasSubstr;

TEST(Help, EveryCommandHasAnExampleAndJson) {
  const CrossFolder folder;
  for (const std::string command : {"inspect", "prune", "calibrate", "compile", "explain", "run", "verify",
                                    "bench", "embed", "generate", "eval", "report"}) {
    const CrossResult result = folder.run({command, "--help"});
    EXPECT_EQ(result.code, 0) << command;
    EXPECT_THAT(result.out, HasSubstr("Example:\n  cross " + command + " ")) << command;
    EXPECT_THAT(result.out, HasSubstr("--json")) << command;
    EXPECT_EQ(result.err, "") << command;
  }
}

TEST(Help, ListsCommandsAndExitCodes) {
  const CrossFolder folder;
  const CrossResult result = folder.run({"--help"});
  EXPECT_EQ(result.code, 0);
  EXPECT_THAT(result.out, HasSubstr("4 verification failed"));
}

TEST(Help, Version) {
  const CrossFolder folder;
  const CrossResult result = folder.run({"--version"});
  EXPECT_EQ(result.code, 0);
  EXPECT_EQ(result.out, "cross " + std::string(version()) + "\n");
}

}  // namespace
}  // namespace cross::testing
