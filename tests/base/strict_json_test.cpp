#include "base/strict_json.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "refusal.h"

namespace cross::base {
namespace {

using testing::expect_refused;

TEST(StrictJson, parses_what_is_right) {
  const auto value = parse_strict_json(R"( {"a": {"x": 1}, "b": {"x": [true, null, "ü"]}} )", "f");
  EXPECT_EQ(value["b"]["x"][2], "ü");
}

TEST(StrictJson, refuses_what_this_table_says) {
  const std::string deep(1'000'000, '[');
  for (const auto& [text, message] : std::initializer_list<std::pair<std::string, std::string>>{
           {"", "f is not valid JSON"},
           {"{\"a\":1,\"b\":2,\"a\":3}", "key \"a\" twice"},
           {"{\"o\":{\"a\":1,\"a\":1}}", "key \"a\" twice"},
           {"{\"\\u0061\":1,\"a\":3}", "key \"a\" twice"},
           {deep, "deeper than 64"},
           {"[1] x", "not valid JSON"},
           {"\"\xff\"", "UTF-8"},
           {"{\"a\":1e999}", "not valid JSON"},
           {"{'a':1}", "not valid JSON"},
           {"[1,]", "not valid JSON"},
           {"[1,\n\x1b[2J", "not valid JSON"},
       })
    expect_refused<InputError>([&, t = text] { parse_strict_json(t, "f"); }, {message});
}

TEST(StrictJson, time_is_linear_in_the_number_of_members) {
  std::string text = "{";
  for (int i = 0; i < 100'000; ++i) text += fmt::format("\"{}\":{{}},", i);
  text.back() = '}';
  EXPECT_EQ(parse_strict_json(text, "f").size(), 100'000u);  // minutes if it were quadratic
}

}  // namespace
}  // namespace cross::base
