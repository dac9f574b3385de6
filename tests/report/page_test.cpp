#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <regex>

#include "cross/report.h"
#include "report/made_report.h"
#include "report/style.h"
#include "report/well_formed.h"

namespace cross::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

TEST(Page, IsWellFormed) {
  EXPECT_EQ(ill_formed(report_html(made_report())), "");
  EXPECT_EQ(ill_formed(report_html(decoder_report())), "");
  EXPECT_EQ(ill_formed(report_html(bare_report(2))), "");
  EXPECT_EQ(ill_formed(report_html(bare_report(0))), "");
}

TEST(Page, SaysWhatWasMeasured) {
  EXPECT_THAT(report_html(made_report()),
              AllOf(HasSubstr("1.67×"), HasSubstr("64.0 → 106.7 sentences/s"), HasSubstr("80.0 %"),
                    HasSubstr("0.876"), HasSubstr("query, key, value"), HasSubstr("index8 tile"),
                    HasSubstr("predicted 1.9 times the price of &lt;index8&gt;"), HasSubstr("1.140 → 1.030"),
                    HasSubstr("data:image/png;base64,")));
}

TEST(Page, SaysWhatWasMeasuredOfADecoder) {
  const std::string page = report_html(decoder_report());
  EXPECT_THAT(page, AllOf(HasSubstr("3.20×"), HasSubstr("10.0 → 32.0 tokens/s"),  // decode
                          HasSubstr("2.00×"), HasSubstr("204.8 → 409.6 tokens/s"),
                          HasSubstr("Decode: 16 tokens after the prompt"),
                          HasSubstr("Prefill: a prompt of 512 tokens")));
  EXPECT_THAT(page, AllOf(HasSubstr("60.0 %"), HasSubstr("the embedding table and 75.0 % sparse"),
                          HasSubstr("20.0 % of the plan&#39;s time")));  // shares
  EXPECT_THAT(page, AllOf(HasSubstr("Quality: perplexity"), HasSubstr("the dense model&#39;s is 12.5: 1.20×"),
                          HasSubstr("windows of 1024 every 512"), Not(HasSubstr("Not measured"))));
}

TEST(Page, OfADecoderThatPredictsNothing) {
  Report report = decoder_report();
  report.evidence.decoder_quality->plan.perplexity = std::numeric_limits<double>::infinity();
  const std::string page = report_html(report);
  EXPECT_EQ(ill_formed(page), "");
  EXPECT_THAT(page, AllOf(HasSubstr("12.5: –"), Not(HasSubstr("inf"))));
}

TEST(Page, SaysWhatWasNot) {
  const std::string page = report_html(bare_report(2));
  EXPECT_THAT(page, AllOf(HasSubstr("compiled without measuring"), HasSubstr("packed for 132 SMs of sm90"),
                          Not(HasSubstr("Predicted and measured")), Not(HasSubstr("Worker loads"))));
  Report unevaluated = made_report();
  unevaluated.evidence.quality.reset();
  EXPECT_THAT(report_html(unevaluated), HasSubstr("--reference MODEL --text FILE"));
}

TEST(Page, TakesNothingFromAnywhere) {
  const std::string page = report_html(made_report());
  EXPECT_THAT(page, HasSubstr("default-src &#39;none&#39;"));
  EXPECT_THAT(page, HasSubstr(report::page_script_hash));
  // Every reference leads into the page or holds what it shows.
  const std::regex reference(R"re( (?:href|src|xlink:href|action)="([^"]*)")re");
  for (std::sregex_iterator at(page.begin(), page.end(), reference), end; at != end; ++at) {
    const std::string target = (*at)[1];
    EXPECT_TRUE(target.starts_with("#") || target.starts_with("data:image/png;base64,")) << target;
  }
  EXPECT_THAT(page, Not(HasSubstr("url(")));
  EXPECT_THAT(page, Not(HasSubstr("@import")));
}

TEST(Page, LinksLeadToDetails) {
  const std::string page = report_html(made_report());
  const std::regex link(R"re(href="#([^"]*)")re");
  for (std::sregex_iterator at(page.begin(), page.end(), link), end; at != end; ++at)
    EXPECT_THAT(page, HasSubstr("id=\"" + (*at)[1].str() + "\"")) << (*at)[0];
}

TEST(Page, EvilNamesStayText) {
  Report report = made_report();
  for (std::string* text :
       {&report.plan.source, &report.plan.compiled_by, &report.plan.compiled_on, &report.plan.profile,
        &report.plan.profile_source, &report.architecture, &report.plan.layers[0].structure,
        &report.plan.layers[0].row_order, &report.plan.layers[0].tokens[0].kernel,
        &report.plan.layers[0].tokens[0].candidate, &report.plan.layers[0].tokens[0].dense,
        &report.plan.layers[0].tokens[0].policy, &report.plan.layers[0].tokens[0].rejected[0].name,
        &report.plan.layers[0].tokens[0].rejected[0].reason,
        &report.plan.layers[0].copies[0].formats[0].format, &report.evidence.model->parts[0].name,
        &report.evidence.model->baseline, &report.layers[0].regions[0].format})
    *text = evil_name;
  const std::string page = report_html(report);
  EXPECT_EQ(ill_formed(page), "");
  EXPECT_THAT(page, AllOf(Not(HasSubstr("<img")), HasSubstr("&lt;img src=http://evil.example")));
  const auto first = page.find("<script");
  EXPECT_EQ(page.find("<script", first + 1), std::string::npos) << "there is a script that is not ours";
}

TEST(Page, OfAHugeModelStaysBounded) {
  const std::string page = report_html(bare_report(3000));
  EXPECT_LE(page.size(), most_report_bytes);
  EXPECT_EQ(ill_formed(page), "");
  EXPECT_THAT(page, HasSubstr("The rows of the last 2000 layers are left out"));
}

}  // namespace
}  // namespace cross::testing
