// The last word between dense and sparse options, on hand-made times.
#include "compiler/select/choose.h"

#include <gtest/gtest.h>

namespace cross::compiler {
namespace {

struct Case {
  const char* what;
  std::vector<Option> options;
  int copies;
  std::vector<std::size_t> per_tokens;
  std::vector<std::size_t> stored;
};

Option dense(std::vector<double> us) { return {"dense", std::move(us), true, false}; }
Option sparse(std::vector<double> us, bool sorted = false) {
  return {"sparse", std::move(us), false, sorted};
}

const Case cases[] = {
    {"a clear gain", {dense({100}), sparse({90})}, 1, {1}, {1}},
    {"a gain that is noise", {dense({100}), sparse({98})}, 1, {0}, {0}},
    {"slower at one count: dense everywhere", {dense({100, 100}), sparse({101, 50})}, 1, {0, 0}, {0}},
    {"level at one count, a gain over all", {dense({100, 100}), sparse({99, 80})}, 1, {1, 1}, {1}},
    {"level at all counts", {dense({100, 100}), sparse({99, 97})}, 1, {0, 0}, {0}},
    {"two copies: dense where it is faster", {dense({100, 100}), sparse({101, 50})}, 2, {0, 1}, {0, 1}},
    {"a level count needs no dense copy", {dense({100, 100}), sparse({98, 50})}, 2, {1, 1}, {1}},
    {"two sparse copies, each at its count",
     {dense({100, 100}), sparse({20, 90}), sparse({60, 40})},
     2,
     {1, 2},
     {1, 2}},
    {"one copy: the better over all counts",
     {dense({100, 100}), sparse({20, 90}), sparse({60, 40})},
     1,
     {1, 1},
     {1}},
    {"a second copy that gains nothing",
     {dense({100, 100}), sparse({50, 50}), sparse({49.8, 50.3})},
     2,
     {1, 1},
     {1}},
    {"a plan has one row order",
     {dense({100, 100}), sparse({20, 90}), sparse({60, 40}, true)},
     2,
     {1, 1},
     {1}},
};

TEST(Choose, takes_what_is_fastest_and_never_slower_than_dense) {
  for (const Case& one : cases) {
    SCOPED_TRACE(one.what);
    const Choice choice = choose(one.options, one.copies);
    EXPECT_EQ(choice.per_tokens, one.per_tokens);
    EXPECT_EQ(choice.stored, one.stored);
  }
}

}  // namespace
}  // namespace cross::compiler
