#include "base/quote.h"

#include <gtest/gtest.h>

namespace cross::base {
namespace {

TEST(Quote, shows_ordinary_text_as_it_is) { EXPECT_EQ(in_quotes("größe.weight"), "\"größe.weight\""); }

TEST(Quote, escapes_what_could_steer_a_terminal) {
  EXPECT_EQ(in_quotes("a\x1b[2J\"\\\n\x7f"), R"("a\x1b[2J\x22\x5c\x0a\x7f")");
  EXPECT_EQ(in_quotes("\xc2\x9b"), R"("\xc2\x9b")");  // C1: some terminals take it for ESC [
}

TEST(Quote, escapes_what_is_not_utf8) {
  EXPECT_EQ(in_quotes("\xff"), R"("\xff")");
  EXPECT_EQ(in_quotes("\xc3"), R"("\xc3")");
  EXPECT_EQ(in_quotes("\xed\xa0\x80"), R"("\xed\xa0\x80")");  // a surrogate
  EXPECT_EQ(in_quotes("\xe0\x80\xaf"), R"("\xe0\x80\xaf")");  // overlong
  EXPECT_EQ(in_quotes("\xf4\x90\x80\x80"), R"("\xf4\x90\x80\x80")");
}

TEST(Quote, cuts_long_text) {
  const std::string shown = in_quotes(std::string(1000, 'x'));
  EXPECT_LT(shown.size(), 130u);
  EXPECT_TRUE(shown.ends_with("…\""));
}

}  // namespace
}  // namespace cross::base
