#include <gtest/gtest.h>

#include "cross/error.h"
#include "cross/prune.h"
#include "refusal.h"

namespace cross {
namespace {

TEST(ParsePattern, Accepts) {
  EXPECT_EQ(parse_pattern("unstructured"), Pattern{});
  EXPECT_EQ(parse_pattern("2:4"), (Pattern{.kind = PatternKind::n_m, .keep = 2, .group = 4}));
  EXPECT_EQ(parse_pattern("1:32"), (Pattern{.kind = PatternKind::n_m, .keep = 1, .group = 32}));
  EXPECT_EQ(parse_pattern("7:8"), (Pattern{.kind = PatternKind::n_m, .keep = 7, .group = 8}));
  EXPECT_EQ(parse_pattern("block:16x16"),
            (Pattern{.kind = PatternKind::block, .block_rows = 16, .block_cols = 16}));
  EXPECT_EQ(parse_pattern("block:1x4:l2"),
            (Pattern{.kind = PatternKind::block, .block_rows = 1, .block_cols = 4, .norm = BlockNorm::l2}));
  EXPECT_EQ(parse_pattern("row"), Pattern{.kind = PatternKind::row});
  EXPECT_EQ(parse_pattern("row:l1"), Pattern{.kind = PatternKind::row});
}

TEST(ParsePattern, ReadsWhatTextOfWrites) {
  for (const char* text : {"unstructured", "2:4", "6:16", "block:16x8", "block:4x4:l2", "row", "row:l2"}) {
    EXPECT_EQ(text_of(parse_pattern(text)), text);
  }
}

TEST(ParsePattern, RefusesNonsense) {
  const std::pair<const char*, const char*> table[] = {
      {"", "unknown"},
      {"2to4", "unknown"},
      {"2:4:8", "unknown"},
      {"Unstructured", "unknown"},
      {"2:5", "the group must be 4, 8, 16 or 32"},
      {"2:64", "the group must be 4, 8, 16 or 32"},
      {"0:4", "can keep 1 to 3"},
      {"4:4", "can keep 1 to 3"},
      {"9:8", "can keep 1 to 7"},
      {"-2:4", "whole numbers"},
      {"+2:4", "whole numbers"},
      {" 2:4", "whole numbers"},
      {"2:4 ", "whole numbers"},
      {"2:", "whole numbers"},
      {":4", "whole numbers"},
      {"a:b", "whole numbers"},
      {"99999999999:4", "whole numbers"},
      {"block", "needs its size"},
      {"block:", "RxC"},
      {"block:16", "RxC"},
      {"block:16x", "RxC"},
      {"block:16x16x16", "RxC"},
      {"block:16X16", "RxC"},
      {"block:0x4", "1 to 4096"},
      {"block:4x5000", "1 to 4096"},
      {"block:4x4:l3", "no norm"},
      {"block:4x4:l1:l1", "too many parts"},
      {"row:16", "no norm"},
      {"row:l1:l2", "too many parts"},
  };
  for (const auto& [text, why] : table) {
    SCOPED_TRACE(text);
    testing::expect_refused<UsageError>([&, &text = text] { parse_pattern(text); },
                                        {text, why, "it must be"});
  }
}

}  // namespace
}  // namespace cross
