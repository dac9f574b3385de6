#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/run_cross.h"

namespace cross::testing {
namespace {

using ::testing::HasSubstr;

TEST(Calibrate, QuickProfileServesCompile) {
  const CrossFolder folder;
  const std::string profile = folder.path("profile.json");
  const CrossResult result = folder.run({"calibrate", "--quick", "--threads", "1", "-o", profile, "--json"});
  ASSERT_EQ(result.code, 0) << result.err;
  const auto report = result.json();
  EXPECT_EQ(report["profile"], profile);
  EXPECT_EQ(report["threads"], 1);
  EXPECT_GT(report["curves"].size(), 4u);

  const std::string plan = folder.path("t.plan");
  const CrossResult compiled =
      folder.run({"compile", tiny_smtx(), "-o", plan, "--profile", profile, "--threads", "1"});
  EXPECT_EQ(compiled.code, 0) << compiled.err;
  EXPECT_THAT(folder.run({"explain", plan}).out, HasSubstr("measured on this machine"));
}

}  // namespace
}  // namespace cross::testing
