#include "io/safetensors_reader.h"

#include <gtest/gtest.h>

#include "io/safetensors_bytes.h"
#include "refusal.h"

namespace cross::io {
namespace {

using testing::as_bytes;
using testing::expect_refused;
using testing::Mistake;
using testing::safetensors_bytes;
using testing::with_header_length;

TEST(SafetensorsReader, reads_tensors_in_the_order_of_their_bytes) {
  const std::string file = safetensors_bytes(
      R"({"__metadata__": {"format": "pt", "": ""},
          "b": {"dtype": "F32", "shape": [2, 1], "data_offsets": [2, 10]},
          "a": {"dtype": "BF16", "shape": [], "data_offsets": [0, 2], "unknown": {"is": ["ignored"]}},
          "":  {"dtype": "I64", "shape": [0, 7], "data_offsets": [10, 10]}}   )",
      10);
  const auto contents = read_safetensors(as_bytes(file), "f");
  ASSERT_EQ(contents.tensors.size(), 3u);
  EXPECT_EQ(contents.tensors[0].name, "a");
  EXPECT_EQ(contents.tensors[0].shape, std::vector<std::int64_t>{});
  EXPECT_EQ(contents.tensors[0].bytes.size(), 2u);
  EXPECT_EQ(contents.tensors[1].name, "b");
  EXPECT_EQ(contents.tensors[1].type, StoredType::f32);
  EXPECT_EQ(contents.tensors[1].shape, (std::vector<std::int64_t>{2, 1}));
  EXPECT_EQ(contents.tensors[1].bytes.data(), as_bytes(file).data() + file.size() - 8);
  EXPECT_EQ(contents.tensors[2].name, "");
  EXPECT_TRUE(contents.tensors[2].bytes.empty());
  EXPECT_EQ(contents.metadata.at("format"), "pt");
}

TEST(SafetensorsReader, reads_every_stored_type) {
  for (const auto& [name, bytes] : std::initializer_list<std::pair<std::string, std::size_t>>{{"BOOL", 1},
                                                                                              {"U8", 1},
                                                                                              {"I8", 1},
                                                                                              {"F8_E5M2", 1},
                                                                                              {"F8_E4M3", 1},
                                                                                              {"I16", 2},
                                                                                              {"U16", 2},
                                                                                              {"F16", 2},
                                                                                              {"BF16", 2},
                                                                                              {"I32", 4},
                                                                                              {"U32", 4},
                                                                                              {"F32", 4},
                                                                                              {"F64", 8},
                                                                                              {"I64", 8},
                                                                                              {"U64", 8}}) {
    const std::string size = std::to_string(3 * bytes);
    const std::string file = safetensors_bytes(
        R"({"t":{"dtype":")" + name + R"(","shape":[3],"data_offsets":[0,)" + size + "]}}", 3 * bytes);
    const auto contents = read_safetensors(as_bytes(file), "f");
    EXPECT_EQ(name_of(contents.tensors.at(0).type), name);
    EXPECT_EQ(size_of(contents.tensors.at(0).type), bytes);
  }
}

TEST(SafetensorsReader, reads_a_file_without_tensors) {
  EXPECT_TRUE(read_safetensors(as_bytes(safetensors_bytes("{}", 0)), "f").tensors.empty());
}

std::string one(const std::string& fields, std::size_t data_bytes = 8) {
  return safetensors_bytes(R"({"a.weight":{)" + fields + "}}", data_bytes);
}

std::string two(const std::string& first, const std::string& second, std::size_t data_bytes) {
  return safetensors_bytes(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":)" + first +
                               R"(},"b":{"dtype":"F32","shape":[1],"data_offsets":)" + second + "}}",
                           data_bytes);
}

class SafetensorsMistake : public ::testing::TestWithParam<Mistake> {};

TEST_P(SafetensorsMistake, is_refused) {
  expect_refused<InputError>([] { read_safetensors(as_bytes(GetParam().file), "m.safetensors"); },
                             {"m.safetensors: ", GetParam().message});
}

INSTANTIATE_TEST_SUITE_P(
    Length, SafetensorsMistake,
    ::testing::Values(
        Mistake{"empty_file", "", "0 bytes are too few"},
        Mistake{"seven_bytes", std::string(7, '\0'), "7 bytes are too few"},
        Mistake{"length_0", with_header_length(0, "{}"), "header length 0"},
        Mistake{"length_2_63", with_header_length(std::uint64_t{1} << 63, "{}"),
                "header length 9223372036854775808 is above the limit"},
        Mistake{"length_2_64", with_header_length(~std::uint64_t{0}, "{}"), "above the limit"},
        Mistake{"length_at_limit", with_header_length(100'000'001, "{}"), "limit of 100000000 bytes"},
        Mistake{"length_past_end", with_header_length(3, "{}"), "runs past the end of the file"},
        Mistake{"git_lfs", "version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull"}),
    testing::name_of_mistake);

INSTANTIATE_TEST_SUITE_P(
    Json, SafetensorsMistake,
    ::testing::Values(
        Mistake{"not_an_object", safetensors_bytes("[]", 0), "must be a JSON object"},
        Mistake{"leading_space", safetensors_bytes(" {}", 0), "must be a JSON object"},
        Mistake{"cut_off", safetensors_bytes("{\"a\":", 0), "the header is not valid JSON"},
        Mistake{"text_after_it", safetensors_bytes("{}x", 0), "the header is not valid JSON"},
        Mistake{"bad_utf8", safetensors_bytes("{\"\xff\":{}}", 0), "UTF-8"},
        Mistake{"deep", safetensors_bytes("{\"a\":" + std::string(100'000, '['), 0), "deeper than"},
        Mistake{"duplicate_tensor",
                safetensors_bytes(R"({"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"a":{}})", 0),
                "key \"a\" twice"},
        Mistake{"duplicate_field", one(R"("dtype":"F32","dtype":"F32")"), "key \"dtype\" twice"},
        Mistake{"duplicate_metadata", safetensors_bytes(R"({"__metadata__":{},"__metadata__":{}})", 0),
                "twice"},
        Mistake{"metadata_not_object", safetensors_bytes(R"({"__metadata__":"x"})", 0),
                "must be an object of strings"},
        Mistake{"metadata_not_strings", safetensors_bytes(R"({"__metadata__":{"k":1}})", 0),
                "__metadata__ \"k\" is number; its values must be strings"},
        Mistake{"tensor_not_object", safetensors_bytes(R"({"a":7})", 0), "tensor \"a\": is 7"}),
    testing::name_of_mistake);

INSTANTIATE_TEST_SUITE_P(
    Fields, SafetensorsMistake,
    ::testing::Values(
        Mistake{"no_dtype", one(R"("shape":[2],"data_offsets":[0,8])"), "tensor \"a.weight\": has no dtype"},
        Mistake{"no_shape", one(R"("dtype":"F32","data_offsets":[0,8])"), "has no shape"},
        Mistake{"no_offsets", one(R"("dtype":"F32","shape":[2])"), "has no data_offsets"},
        Mistake{"dtype_not_string", one(R"("dtype":4,"shape":[2],"data_offsets":[0,8])"), "dtype is 4"},
        Mistake{"dtype_unknown", one(R"("dtype":"F33","shape":[2],"data_offsets":[0,8])"),
                "dtype \"F33\" is unknown; known are BOOL"},
        Mistake{"shape_not_array", one(R"("dtype":"F32","shape":2,"data_offsets":[0,8])"), "shape is 2"},
        Mistake{"shape_negative", one(R"("dtype":"F32","shape":[-2],"data_offsets":[0,8])"), "dimension -2"},
        Mistake{"shape_fraction", one(R"("dtype":"F32","shape":[2.0],"data_offsets":[0,8])"),
                "dimension 2.0"},
        Mistake{"shape_2_63", one(R"("dtype":"F32","shape":[9223372036854775808],"data_offsets":[0,8])"),
                "dimension 9223372036854775808"},
        Mistake{"shape_overflows",
                one(R"("dtype":"U8","shape":[4294967296,4294967296],"data_offsets":[0,0])"),
                "more bytes than 64 bits can count"},
        Mistake{"bytes_overflow", one(R"("dtype":"F64","shape":[2305843009213693952],"data_offsets":[0,0])"),
                "more bytes than 64 bits can count"},
        Mistake{"offsets_not_array", one(R"("dtype":"F32","shape":[2],"data_offsets":8)"),
                "data_offsets is 8"},
        Mistake{"offsets_of_three", one(R"("dtype":"F32","shape":[2],"data_offsets":[0,8,8])"),
                "must be two integers"},
        Mistake{"offsets_negative", one(R"("dtype":"F32","shape":[2],"data_offsets":[-8,0])"),
                "data_offsets is [-8,0]"},
        Mistake{"offsets_fraction", one(R"("dtype":"F32","shape":[2],"data_offsets":[0,8.5])"),
                "must be two integers"},
        Mistake{"offsets_2_64", one(R"("dtype":"F32","shape":[2],"data_offsets":[0,18446744073709551616])"),
                "must be two integers"},
        Mistake{
            "offsets_backwards", one(R"("dtype":"F32","shape":[2],"data_offsets":[10,4])"),
            "tensor \"a.weight\": data_offsets [10, 4] run backwards; the end must not be before the start"},
        Mistake{"size_mismatch", one(R"("dtype":"F32","shape":[2,2],"data_offsets":[0,8])"),
                "data_offsets [0, 8] span 8 bytes; shape [2, 2] of F32 needs 16"}),
    testing::name_of_mistake);

INSTANTIATE_TEST_SUITE_P(
    Coverage, SafetensorsMistake,
    ::testing::Values(
        Mistake{"past_the_end", one(R"("dtype":"F32","shape":[2],"data_offsets":[0,8])", 7),
                "run past the end of the data, 7"},
        Mistake{
            "huge_offsets",
            one(R"("dtype":"F32","shape":[2],"data_offsets":[18446744073709551600,18446744073709551608])"),
            "run past the end of the data"},
        Mistake{"trailing_bytes", one(R"("dtype":"F32","shape":[2],"data_offsets":[0,8])", 9),
                "1 bytes after the last tensor"},
        Mistake{"data_without_tensors", safetensors_bytes("{}", 3), "3 bytes after the last tensor"},
        Mistake{"hole", two("[0,4]", "[5,9]", 9),
                "tensor \"b\": data_offsets [5, 9] leave a hole; the tensor must start at 4"},
        Mistake{"hole_at_start", two("[1,5]", "[5,9]", 9), "tensor \"a\": data_offsets [1, 5] leave a hole"},
        Mistake{"overlap", two("[0,4]", "[3,7]", 7),
                "tensor \"b\": data_offsets [3, 7] overlap tensor \"a\", which ends at 4"},
        Mistake{"same_place", two("[0,4]", "[0,4]", 4), "overlap"}),
    testing::name_of_mistake);

}  // namespace
}  // namespace cross::io
