#include "base/glob.h"

#include <gtest/gtest.h>

#include <string>

namespace cross::base {
namespace {

TEST(Glob, decides_as_this_table_says) {
  struct Row {
    std::string pattern, name;
    bool matches;
  };
  for (const Row& row : {
           Row{"", "", true},
           Row{"", "a", false},
           Row{"*", "", true},
           Row{"*", "a.b.c", true},
           Row{"a", "a", true},
           Row{"a", "ab", false},
           Row{"?", "", false},
           Row{"?", "a", true},
           Row{"a?c", "abc", true},
           Row{"*.weight", "layer.0.weight", true},
           Row{"*.weight", "layer.0.weights", false},
           Row{"*.q_proj.*", "model.layers.0.q_proj.weight", true},
           Row{"q_proj", "model.layers.0.q_proj.weight", false},
           Row{"*a*b", "xaxxaxb", true},
           Row{"*ab*ab*", "ab", false},
           Row{"**", "x", true},
           Row{"a.[bc]", "a.b", false},
           Row{"a.[bc]", "a.[bc]", true},
       })
    EXPECT_EQ(glob_matches(row.pattern, row.name), row.matches) << row.pattern << " on " << row.name;
}

TEST(Glob, hostile_patterns_end_soon) {
  std::string pattern;
  for (int i = 0; i < 1000; ++i) pattern += "*a";
  EXPECT_FALSE(glob_matches(pattern + "b", std::string(10000, 'a')));
}

}  // namespace
}  // namespace cross::base
