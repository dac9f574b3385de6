#include "io/npy.h"

#include <gtest/gtest.h>

#include <cstring>
#include <limits>

#include "refusal.h"
#include "temp_folder.h"

namespace cross::io {
namespace {

using testing::as_bytes;
using testing::expect_refused;
using testing::Mistake;
using testing::TempFolder;

/// A file of any format version; the header is not padded.
std::string npy(const std::string& header, const std::string& data, int major = 1) {
  std::string file = "\x93NUMPY";
  file += static_cast<char>(major);
  file += '\0';
  for (int i = 0; i < (major == 1 ? 2 : 4); ++i) file += static_cast<char>(header.size() >> (8 * i) & 0xff);
  return file + header + data;
}

std::string dictionary(const std::string& descr, const std::string& shape,
                       const std::string& fortran = "False") {
  return "{'descr': '" + descr + "', 'fortran_order': " + fortran + ", 'shape': " + shape + ", }\n";
}

template <typename T>
std::string raw(std::initializer_list<T> values) {
  return {reinterpret_cast<const char*>(values.begin()), values.size() * sizeof(T)};
}

const std::string six = raw<float>({1, 2, 3, 4, 5, 6});

TEST(Npy, reads_what_this_table_says) {
  const std::vector<float> in_order{1, 2, 3, 4, 5, 6};
  const std::string big_endian("\x3f\x80\x00\x00\x40\x00\x00\x00", 8);
  struct Row {
    std::string file;
    std::int64_t rows, cols;
    std::vector<float> values;
  };
  for (const Row& row : {
           Row{npy(dictionary("<f4", "(2, 3)"), six), 2, 3, in_order},
           Row{npy(dictionary("<f4", "(2, 3)"), six, 2), 2, 3, in_order},
           Row{npy(dictionary("<f4", "(2, 3)"), six, 3), 2, 3, in_order},
           Row{npy(dictionary("<f4", "(2, 3)", "True"), six), 2, 3, {1, 3, 5, 2, 4, 6}},
           Row{npy(dictionary("<f4", "(6,)"), six), 1, 6, in_order},
           Row{npy(dictionary("<f4", "(6,)", "True"), six), 1, 6, in_order},
           Row{npy(dictionary("<f2", "(1, 2)"), raw<std::uint16_t>({0x3c00, 0x0001})),
               1,
               2,
               {1.0f, 0x1p-24f}},
           Row{npy(dictionary(">f4", "(1, 2)"), big_endian), 1, 2, {1, 2}},
           Row{npy(dictionary(">f4", "(2,)"), big_endian), 1, 2, {1, 2}},
           Row{npy(dictionary(">f2", "(2, 1)", "True"), std::string("\x3c\x00\x40\x00", 4)), 2, 1, {1, 2}},
           Row{npy(dictionary("<f4", "(0, 3)"), ""), 0, 3, {}},
           Row{npy(dictionary("<f4", "(4611686018427387904, 0)", "True"), ""), std::int64_t{1} << 62, 0, {}},
           Row{npy("{\"shape\":(1,1),\"descr\":\"<f4\",\"fortran_order\":False}", raw<float>({9})),
               1,
               1,
               {9}},
       }) {
    const FloatMatrix matrix = read_npy(as_bytes(row.file), "f.npy");
    EXPECT_EQ(matrix.rows, row.rows);
    EXPECT_EQ(matrix.cols, row.cols);
    EXPECT_EQ(matrix.values, row.values) << row.file;
  }
}

TEST(Npy, what_is_written_reads_back) {
  const TempFolder folder;
  const auto path = folder.path() / "x.npy";
  const std::vector<float> values{1, -0.0f, std::numeric_limits<float>::infinity(), 1e-40f, 5, 6};
  write_npy(path, 3, 2, values);
  const FloatMatrix matrix = read_npy(path);
  EXPECT_EQ(matrix.rows, 3);
  EXPECT_EQ(matrix.cols, 2);
  ASSERT_EQ(matrix.values.size(), values.size());
  EXPECT_EQ(std::memcmp(matrix.values.data(), values.data(), 24), 0);
  const std::string file = testing::read_file(path);
  EXPECT_EQ((file.size() - 24) % 64, 0u);
  EXPECT_EQ(file[file.size() - 25], '\n');
  write_npy(path, 0, 5, {});
  EXPECT_EQ(read_npy(path).cols, 5);
}

TEST(Npy, a_missing_file_is_a_usage_error) {
  expect_refused<UsageError>([] { read_npy("/nonexistent/x.npy"); }, {"/nonexistent/x.npy", "no such file"});
}

TEST(Npy, a_wrong_number_of_values_is_our_fault) {
  expect_refused<InternalError>([] { write_npy("x.npy", 2, 2, std::vector<float>(3)); },
                                {"3 values for 2 x 2"});
}

class NpyMistake : public ::testing::TestWithParam<Mistake> {};

TEST_P(NpyMistake, is_refused) {
  expect_refused<InputError>([] { read_npy(as_bytes(GetParam().file), "f.npy"); },
                             {"f.npy: ", GetParam().message});
}

INSTANTIATE_TEST_SUITE_P(
    Preamble, NpyMistake,
    ::testing::Values(
        Mistake{"empty", "", "a .npy file starts with"},
        Mistake{"zip", "PK\x03\x04", "starts with \"PK\\x03\\x04\""},
        Mistake{"no_version", "\x93NUMPY", "version 0.0"},
        Mistake{"version_4", npy(dictionary("<f4", "(2, 3)"), six, 4), "version 4.0; known are"},
        Mistake{"cut_in_length", npy("", "", 2).substr(0, 10), "ends inside its header length"},
        Mistake{"cut_in_header", npy(dictionary("<f4", "(2, 3)"), "").substr(0, 30),
                "runs past the end of the file"},
        Mistake{"huge_header", npy("", "", 2).substr(0, 8) + "\xff\xff\xff\xff", "header length 4294967295"}),
    testing::name_of_mistake);

INSTANTIATE_TEST_SUITE_P(
    Dictionary, NpyMistake,
    ::testing::Values(
        Mistake{"no_dictionary", npy("xyz", ""), "expected '{', found \"x\""},
        Mistake{"unclosed", npy("{'descr': '<f4'", ""), "expected '}'"},
        Mistake{"unclosed_string", npy("{'descr", ""), "a key must be a quoted string"},
        Mistake{"key_missing", npy("{'descr': '<f4', 'fortran_order': False}", ""), "shape is missing"},
        Mistake{"key_twice", npy("{'descr': '<f4', 'descr': '<f4'}", ""),
                "key \"descr\" is repeated or unknown"},
        Mistake{"key_unknown", npy("{'x': '<f4'}", ""), "key \"x\" is repeated or unknown"},
        Mistake{"text_after", npy(dictionary("<f4", "(2, 3)") + "x", six), "\"x\" after the closing brace"},
        Mistake{"order_not_boolean", npy(dictionary("<f4", "(2, 3)", "None"), six), "must be True or False"},
        Mistake{"shape_not_tuple", npy(dictionary("<f4", "6"), six), "expected '('"},
        Mistake{"shape_negative", npy(dictionary("<f4", "(-2, 3)"), six), "integers from 0 to 2^63-1"},
        Mistake{"shape_2_63", npy(dictionary("<f4", "(9223372036854775808, 0)"), ""),
                "integers from 0 to 2^63-1"},
        Mistake{"shape_word", npy(dictionary("<f4", "(two, 3)"), six), "integers from 0"}),
    testing::name_of_mistake);

INSTANTIATE_TEST_SUITE_P(
    Array, NpyMistake,
    ::testing::Values(
        Mistake{"f8", npy(dictionary("<f8", "(1, 3)"), six),
                "descr \"<f8\" is not supported; it must be '<f4'"},
        Mistake{"integers", npy(dictionary("<i4", "(2, 3)"), six), "astype(numpy.float32)"},
        Mistake{"object", npy(dictionary("|O", "(2, 3)"), six), "descr \"|O\" is not supported"},
        Mistake{"bf16", npy(dictionary("|V2", "(2, 6)"), six), "bf16 needs a safetensors file"},
        Mistake{"structured", npy("{'descr': [('a', '<f4')]}", six), "structured type"},
        Mistake{"too_short", npy(dictionary("<f4", "(2, 4)"), six), "needs 32 bytes; 24 bytes follow"},
        Mistake{"too_long", npy(dictionary("<f4", "(2, 2)"), six), "needs 16 bytes; 24 bytes follow"},
        Mistake{"overflow", npy(dictionary("<f4", "(4611686018427387904, 4)"), ""),
                "needs more than 2^64 bytes"},
        Mistake{"scalar", npy(dictionary("<f4", "()"), raw<float>({1})), "0 dimensions; it must have 2"},
        Mistake{"three_dimensions", npy(dictionary("<f4", "(1, 2, 3)"), six), "3 dimensions"}),
    testing::name_of_mistake);

}  // namespace
}  // namespace cross::io
