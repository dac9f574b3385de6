#include "io/smtx.h"

#include <gtest/gtest.h>

#include <cstring>

#include "base/normal_source.h"
#include "refusal.h"
#include "temp_folder.h"

namespace cross::io {
namespace {

using testing::as_bytes;
using testing::expect_refused;
using testing::Mistake;

DenseMatrix read(std::string_view text, std::uint64_t seed = 0) {
  return read_smtx(as_bytes(text), "f.smtx", seed);
}

std::vector<float> values_of(const DenseMatrix& matrix) {
  std::vector<float> values(matrix.values.bytes().size() / sizeof(float));
  if (!values.empty()) std::memcpy(values.data(), matrix.values.bytes().data(), matrix.values.bytes().size());
  return values;
}

TEST(Smtx, fills_the_pattern_with_normal_values_in_file_order) {
  base::NormalSource normal(7);
  float v[5];
  for (float& value : v) value = normal.next();
  const std::string text = testing::read_file(CROSS_SOURCE_DIR "/tests/data/tiny.smtx");
  const DenseMatrix matrix = read(text, 7);
  EXPECT_EQ(matrix.rows, 3);
  EXPECT_EQ(matrix.cols, 4);
  EXPECT_EQ(values_of(matrix), (std::vector<float>{0, v[0], 0, v[1], 0, 0, 0, 0, v[2], v[3], v[4], 0}));
  EXPECT_NE(values_of(matrix), values_of(read(text, 8)));
}

TEST(Smtx, accepts_what_writers_do) {
  const auto expected = values_of(read("2, 2, 2\n0 1 2\n1 0\n"));
  for (const char* text : {"2,2,2\n0 1 2\n1 0", "2 2 2\n0 1 2 \n1 0 \n\n", "2, 2, 2\r\n0 1 2\r\n1 0\r\n"})
    EXPECT_EQ(values_of(read(text)), expected) << text;
  EXPECT_EQ(values_of(read("1, 2, 2\n0 2\n1 0\n")).size(), 2u);  // columns out of order
}

TEST(Smtx, accepts_matrices_of_nothing) {
  EXPECT_EQ(values_of(read("2, 3, 0\n0 0 0\n\n")), std::vector<float>(6));
  EXPECT_EQ(values_of(read("2, 3, 0\n0 0 0")), std::vector<float>(6));
  EXPECT_EQ(read("0, 3, 0\n0\n\n").rows, 0);
  EXPECT_EQ(read("1, 0, 0\n0 0\n\n").cols, 0);
}

class SmtxMistake : public ::testing::TestWithParam<Mistake> {};

TEST_P(SmtxMistake, is_refused) {
  expect_refused<InputError>([] { read(GetParam().file); }, {"f.smtx: ", GetParam().message});
}

INSTANTIATE_TEST_SUITE_P(
    Table, SmtxMistake,
    ::testing::Values(
        Mistake{"empty", "", "the file is empty"},
        Mistake{"size_missing", "2, 2\n0 0 0\n",
                "line 1, token 3: the line ends where the number of nonzeros"},
        Mistake{"size_not_integer", "2, x, 2\n", "line 1, token 2: the number of columns is \"x\""},
        Mistake{"size_fraction", "2, 2.5, 2\n", "must be an integer"},
        Mistake{"size_negative", "-2, 2, 2\n", "the number of rows is -2; it must not be negative"},
        Mistake{"size_extra", "2, 2, 2, 2\n", "line 1, token 4: more tokens than rows, cols, nonzeros"},
        Mistake{"size_2_64", "18446744073709551616, 2, 2\n", "does not fit 64 bits"},
        Mistake{"rows_claim", "1000000000, 2, 2\n0 1 2\n0 1\n", "cannot be in a file of"},
        Mistake{"nonzeros_claim", "2, 2, 1000000000\n0 1 2\n0 1\n", "cannot be in a file of"},
        Mistake{"dense_too_large", "2, 4000000000, 0\n0 0 0\n\n", "above the limit of 17179869184 bytes"},
        Mistake{"dense_overflows", "2, 9223372036854775807, 0\n0 0 0\n\n", "above the limit"},
        Mistake{"no_offsets", "2, 2, 2\n", "the file ends where the line of row offsets"},
        Mistake{"offsets_start", "2, 2, 2\n1 1 2\n0 1\n",
                "line 2, token 1: the first row offset is 1; it must be 0"},
        Mistake{"offsets_decrease", "3, 2, 2\n0 2 1 2\n0 1\n",
                "line 2, token 3: row offset 1 is below the one before, 2"},
        Mistake{"offsets_end", "2, 2, 2\n0 1 1\n0 1\n",
                "the last row offset is 1; it must be the number of nonzeros, 2"},
        Mistake{"offset_too_large", "2, 2, 2\n0 3 3\n0 1\n", "row offset 3 is above the number of nonzeros"},
        Mistake{"offset_negative", "2, 2, 2\n0 -1 2\n0 1\n", "row offset -1 is below"},
        Mistake{"offset_missing", "2, 2, 2\n0 2\n0 1\n", "line 2, token 3: the line ends where a row offset"},
        Mistake{"offset_extra", "2, 2, 2\n0 1 2 2\n0 1\n", "more tokens than 3 row offsets"},
        Mistake{"no_columns", "2, 2, 2\n0 1 2\n", "the file ends where the line of column indices"},
        Mistake{"column_missing", "2, 2, 2\n0 1 2\n0\n",
                "line 3, token 2: the line ends where a column index"},
        Mistake{"column_extra", "2, 2, 2\n0 1 2\n0 1 1\n",
                "line 3, token 3: more tokens than 2 column indices"},
        Mistake{"column_too_large", "2, 2, 2\n0 1 2\n0 2\n",
                "line 3, token 2: column index 2 is outside 0..1"},
        Mistake{"column_negative", "2, 2, 2\n0 1 2\n0 -1\n", "column index -1 is outside"},
        Mistake{"column_twice", "2, 2, 2\n0 2 2\n1 1\n", "line 3, token 2: row 0 has column 1 twice"},
        Mistake{"column_in_no_columns", "1, 0, 1\n0 1\n0\n", "column index 0 is outside"},
        Mistake{"text_after", "2, 2, 2\n0 1 2\n0 1\n5\n", "line 4: text after the column indices"}),
    testing::name_of_mistake);

}  // namespace
}  // namespace cross::io
