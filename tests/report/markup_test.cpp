#include "report/markup.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cross/error.h"
#include "report/made_report.h"
#include "report/numbers.h"
#include "report/theme.h"
#include "report/well_formed.h"

namespace cross::report {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(Markup, EscapesWhatMeansSomething) {
  EXPECT_EQ(escape("a<b> & \"c\" 'd'"), "a&lt;b&gt; &amp; &quot;c&quot; &#39;d&#39;");
  EXPECT_EQ(escape("Größe × 2"), "Größe × 2");
  EXPECT_EQ(escape("\x01\xff\n"), "\\x01\\xff\\x0a");
  EXPECT_EQ(escape("\xef\xbf\xbe.\xef\xbf\xbf"), "\\xfffe.\\xffff");  // UTF-8, but no characters of XML
}

TEST(Markup, AnEvilNameStaysText) {
  Markup out;
  out.inside("p", {{"title", cross::testing::evil_name}}, [&] { out.text(cross::testing::evil_name); });
  EXPECT_EQ(cross::testing::ill_formed(out.str()), "");
  EXPECT_THAT(out.str(), Not(HasSubstr("<script")));
  EXPECT_THAT(out.str(), Not(HasSubstr("<img")));
}

TEST(Markup, NestsAndCloses) {
  Markup out;
  out.open("ul").element("li", {{"class", "x"}}, "one").element("br").close();
  EXPECT_EQ(out.str(), "<ul><li class=\"x\">one</li><br /></ul>");
  out.open("p");
  EXPECT_THROW(out.str(), InternalError);
  out.close();
  EXPECT_THROW(out.close(), InternalError);
  EXPECT_THROW(out.element("img", {}, "text"), InternalError);
  EXPECT_THROW(out.verbatim("style", "a<b"), InternalError);
}

TEST(Markup, TheCheckerFindsMistakes) {
  using cross::testing::ill_formed;
  EXPECT_EQ(ill_formed("<!DOCTYPE html>\n<a b=\"c\">d &amp; e<br /></a>\n"), "");
  for (const char* wrong :
       {"<a>", "<a></b>", "<a b=c></a>", "<a b=\"1\" b=\"2\"></a>", "<a>&nbsp;</a>", "<a b=\"<\"></a>",
        "<a>\x01</a>", "<a></a><b></b>", "text", "<a><i id=\"x\"></i><i id=\"x\"></i></a>"})
    EXPECT_NE(ill_formed(wrong), "") << wrong;
}

TEST(Numbers, AreShort) {
  EXPECT_EQ(ratio(2.314), "2.31×");
  EXPECT_EQ(ratio(0), "–");
  EXPECT_EQ(microseconds(5.555), "5.55 µs");
  EXPECT_EQ(microseconds(55.55), "55.5 µs");
  EXPECT_EQ(microseconds(555.5), "556 µs");
  EXPECT_EQ(microseconds(5555), "5.55 ms");
  EXPECT_EQ(microseconds(306400), "306 ms");
  EXPECT_EQ(microseconds(2.5e6), "2.50 s");
  EXPECT_EQ(microseconds(-1), "–");
  EXPECT_EQ(round_time(20), "20 µs");
  EXPECT_EQ(round_time(5000), "5 ms");
  EXPECT_EQ(percent(0.7998), "80.0 %");
  EXPECT_EQ(count(10616832), "10.6 million");
  EXPECT_EQ(count(24), "24");
  EXPECT_EQ(tokens(1), "1 token");
  EXPECT_EQ(size_change(400, 100), "4.00× smaller");
  EXPECT_EQ(size_change(100, 120), "1.20× larger");
  EXPECT_EQ(size_change(100, 100), "the same");
  EXPECT_EQ(size_change(0, 120), "");
}

/// Text needs 4.5 to 1, charts 3 to 1 (WCAG 2, AA).
TEST(Theme, HasContrast) {
  EXPECT_NEAR(contrast("#000000", "#ffffff"), 21, 1e-9);
  const ThemeColor &page = theme_colors[0], &card = theme_colors[1];
  for (const ThemeColor& color : theme_colors) {
    if (color.name != "ink" && color.name != "muted" && color.name != "link") continue;
    for (const ThemeColor* surface : {&page, &card}) {
      EXPECT_GE(contrast(color.light, surface->light), 4.5) << color.name;
      EXPECT_GE(contrast(color.dark, surface->dark), 4.5) << color.name;
    }
  }
  for (const ThemeColor& color : series_colors) {
    EXPECT_GE(contrast(color.light, page.light), 3) << color.name;
    EXPECT_GE(contrast(color.dark, page.dark), 3) << color.name;
  }
}

}  // namespace
}  // namespace cross::report
