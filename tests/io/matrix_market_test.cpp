#include "io/matrix_market.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>

#include "base/normal_source.h"
#include "refusal.h"

namespace cross::io {
namespace {

using testing::as_bytes;
using testing::expect_refused;
using testing::Mistake;

std::vector<float> read(const std::string& text) {
  const DenseMatrix matrix = read_matrix_market(as_bytes(text), "f.mtx", 0);
  std::vector<float> values(static_cast<std::size_t>(matrix.rows * matrix.cols));
  if (!values.empty()) std::memcpy(values.data(), matrix.values.bytes().data(), matrix.values.bytes().size());
  return values;
}

std::string banner(const std::string& words) { return "%%MatrixMarket matrix " + words + "\n"; }

TEST(MatrixMarket, reads_what_this_table_says) {
  base::NormalSource normal(0);
  const float v0 = normal.next();
  const float v1 = normal.next();
  struct Row {
    std::string text;
    std::vector<float> values;
  };
  for (const Row& row : {
           Row{banner("coordinate real general") + "% comment\n\n2 3 2\n1 2 0.5\n2 3 -1e-3\n",
               {0, .5f, 0, 0, 0, -1e-3f}},
           Row{banner("coordinate integer general") + "1 2 2\n1 2 +7\n1 1 -3\n", {-3, 7}},
           Row{banner("coordinate pattern general") + "2 2 2\n2 1\n1 1\n", {v1, 0, v0, 0}},
           Row{banner("coordinate real symmetric") + "2 2 2\n1 1 4\n2 1 5\n", {4, 5, 5, 0}},
           Row{banner("coordinate pattern symmetric") + "2 2 1\n2 1\n", {0, v0, v0, 0}},
           Row{banner("coordinate real skew-symmetric") + "2 2 1\n2 1 5\n", {0, -5, 5, 0}},
           Row{banner("array real general") + "2 2\n1\n2\n3\n4\n", {1, 3, 2, 4}},
           Row{banner("array integer general") + "2 2\n1 2\n3 4\n", {1, 3, 2, 4}},
           Row{banner("array real symmetric") + "2 2\n1\n2\n3\n", {1, 2, 2, 3}},
           Row{banner("array real skew-symmetric") + "2 2\n2\n", {0, -2, 2, 0}},
           Row{"%%matrixmarket MATRIX Coordinate REAL General\r\n%\r\n1 1 1\r\n1 1 2\r\n% end\r\n\r\n", {2}},
           Row{banner("coordinate real general") + "1 1 0\n", {0}},
           Row{banner("coordinate real general") + "0 5 0\n", {}},
           Row{banner("array real general") + "0 4611686018427387904\n", {}},
           Row{banner("coordinate real general") + "1 2 2\n1 1 1e-60\n1 2 1e-45\n", {0, 0x1p-149f}},
       })
    EXPECT_EQ(read(row.text), row.values) << row.text;
}

TEST(MatrixMarket, keeps_special_values) {
  const auto values = read(banner("coordinate real general") + "1 3 3\n1 1 -0.0\n1 2 nan\n1 3 -inf\n");
  EXPECT_EQ(std::bit_cast<std::uint32_t>(values[0]), 0x80000000u);
  EXPECT_TRUE(std::isnan(values[1]));
  EXPECT_EQ(values[2], -INFINITY);
}

TEST(MatrixMarket, a_mirrored_zero_stays_a_pruned_position) {
  const auto values = read(banner("coordinate real skew-symmetric") + "2 2 1\n2 1 0\n");
  for (const float value : values) EXPECT_EQ(std::bit_cast<std::uint32_t>(value), 0u);
}

class MatrixMarketMistake : public ::testing::TestWithParam<Mistake> {};

TEST_P(MatrixMarketMistake, is_refused) {
  expect_refused<InputError>([] { read(GetParam().file); }, {"f.mtx: ", GetParam().message});
}

const std::string real = banner("coordinate real general");

INSTANTIATE_TEST_SUITE_P(
    Banner, MatrixMarketMistake,
    ::testing::Values(
        Mistake{"empty", "", "must start with %%MatrixMarket"},
        Mistake{"no_banner", "1 1 1\n1 1 1\n", "line 1, token 1: the file must start with %%MatrixMarket"},
        Mistake{"vector", "%%MatrixMarket vector coordinate real general\n",
                "object \"vector\" is not supported"},
        Mistake{"format", banner("dense real general"), "format \"dense\" is unknown"},
        Mistake{"is_complex", banner("coordinate complex general"), "field \"complex\" is not supported"},
        Mistake{"array_pattern", banner("array pattern general"),
                "field \"pattern\" is not supported for array"},
        Mistake{"hermitian", banner("coordinate real hermitian"), "symmetry \"hermitian\" is not supported"},
        Mistake{"skew_pattern", banner("coordinate pattern skew-symmetric"), "is not supported for pattern"},
        Mistake{"short_banner", banner("coordinate real"), "the line ends where the symmetry should stand"},
        Mistake{"long_banner", banner("coordinate real general x"), "more tokens than"}),
    testing::name_of_mistake);

INSTANTIATE_TEST_SUITE_P(
    Sizes, MatrixMarketMistake,
    ::testing::Values(
        Mistake{"no_sizes", real + "% only comments\n", "the file ends where the line of sizes"},
        Mistake{"size_missing", real + "2 2\n", "the line ends where the number of entries"},
        Mistake{"size_extra", real + "2 2 1 1\n", "more tokens than rows, columns, entries"},
        Mistake{"negative", real + "2 -2 1\n", "the number of columns is -2"},
        Mistake{"not_integer", real + "2 2e3 1\n", "the number of columns is \"2e3\"; it must be an integer"},
        Mistake{"not_square", banner("coordinate real symmetric") + "2 3 0\n", "must be square, not 2 x 3"},
        Mistake{"entries_claim", real + "9 9 1000000\n", "1000000 entries cannot be in a file of"},
        Mistake{"dense_too_large", real + "1000000 1000000 0\n", "above the limit of 17179869184 bytes"},
        Mistake{"dense_overflows", real + "9223372036854775807 9223372036854775807 0\n", "above the limit"}),
    testing::name_of_mistake);

INSTANTIATE_TEST_SUITE_P(
    Entries, MatrixMarketMistake,
    ::testing::Values(
        Mistake{"row_0", real + "2 2 1\n0 1 1\n", "line 3, token 1: row 0 is outside 1..2"},
        Mistake{"row_too_large", real + "2 2 1\n3 1 1\n", "row 3 is outside 1..2"},
        Mistake{"column_too_large", real + "2 2 1\n1 3 1\n", "line 3, token 2: column 3 is outside 1..2"},
        Mistake{"column_negative", real + "2 2 1\n1 -1 1\n", "column -1 is outside"},
        Mistake{"no_value", real + "2 2 1\n1 1\n", "the line ends where the value should stand"},
        Mistake{"value_word", real + "2 2 1\n1 1 one\n", "the value is \"one\"; it must be a number"},
        Mistake{"value_tail", real + "2 2 1\n1 1 1.0D+1\n", "the value is \"1.0D+1\""},
        Mistake{"value_signs", real + "2 2 1\n1 1 +-1\n", "the value is \"+-1\""},
        Mistake{"value_too_large", real + "2 2 1\n1 1 1e39\n", "is outside the range of fp32"},
        Mistake{"value_fraction_in_integer", banner("coordinate integer general") + "1 1 1\n1 1 1.5\n",
                "must be an integer"},
        Mistake{"value_extra", real + "2 2 2\n1 1 1 1\n1 2 1\n",
                "line 3, token 4: more tokens than row, column, value"},
        Mistake{"value_extra_at_end", real + "2 2 1\n1 1 1 1\n", "more tokens than the last entry"},
        Mistake{"twice", real + "2 2 2\n1 1 1\n1 1 2\n", "line 4, token 3: entry 1, 1 is given twice"},
        Mistake{"twice_with_zero", real + "2 2 2\n1 1 0\n1 1 0\n", "entry 1, 1 is given twice"},
        Mistake{"twice_mirrored", banner("coordinate real symmetric") + "2 2 2\n2 1 1\n1 2 1\n",
                "given twice"},
        Mistake{"skew_diagonal", banner("coordinate real skew-symmetric") + "2 2 1\n1 1 0\n",
                "lies on the diagonal"},
        Mistake{"too_few", real + "2 2 2\n1 1 1\n", "the file ends after 1 entries; 2 are announced"},
        Mistake{"too_many", real + "2 2 1\n1 1 1\n1 2 1\n", "line 4: text after the last entry"},
        Mistake{"array_too_few", banner("array real general") + "2 2\n1\n2\n3\n",
                "the file ends after 3 entries; 4"},
        Mistake{"array_too_many", banner("array real general") + "1 1\n1\n2\n", "text after the last entry"}),
    testing::name_of_mistake);

}  // namespace
}  // namespace cross::io
