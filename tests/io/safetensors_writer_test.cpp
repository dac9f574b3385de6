#include "io/safetensors_writer.h"

#include <gtest/gtest.h>

#include <array>

#include "io/safetensors_reader.h"
#include "refusal.h"
#include "temp_folder.h"

namespace cross::io {
namespace {

using testing::as_bytes;
using testing::expect_refused;
using testing::read_file;
using testing::TempFolder;

class SafetensorsWriterTest : public ::testing::Test {
 protected:
  const TempFolder folder_;
  const std::filesystem::path path_ = folder_.path() / "m.safetensors";
  const std::vector<TensorHeader> tensors_ = {
      {"z", StoredType::f32, {2, 1}}, {"a \"ü\"", StoredType::u8, {3}}, {"empty", StoredType::bf16, {0, 5}}};
};

TEST_F(SafetensorsWriterTest, what_it_writes_reads_back) {
  SafetensorsWriter writer(path_, tensors_, {{"format", "pt"}});
  writer.append(as_bytes("abcde"));  // parts need not end where tensors do
  writer.append(as_bytes("fghijk"));
  writer.commit();

  const std::string file = read_file(path_);
  const auto contents = read_safetensors(as_bytes(file), "f");
  ASSERT_EQ(contents.tensors.size(), 3u);
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(contents.tensors[i].name, tensors_[i].name);
    EXPECT_EQ(contents.tensors[i].type, tensors_[i].type);
    EXPECT_EQ(contents.tensors[i].shape, tensors_[i].shape);
  }
  EXPECT_EQ(contents.metadata.at("format"), "pt");
  const auto offset = contents.tensors[0].bytes.data() - as_bytes(file).data();
  EXPECT_EQ(offset % 64, 0);
  EXPECT_EQ(file.substr(static_cast<std::size_t>(offset)), "abcdefghijk");
}

TEST_F(SafetensorsWriterTest, nothing_is_left_without_commit) {
  { SafetensorsWriter(path_, tensors_, {}).append(as_bytes("abc")); }
  EXPECT_TRUE(std::filesystem::is_empty(folder_.path()));
}

TEST_F(SafetensorsWriterTest, too_few_or_too_many_bytes_are_our_fault) {
  SafetensorsWriter writer(path_, tensors_, {});
  writer.append(as_bytes("0123456789"));
  expect_refused<InternalError>([&] { writer.commit(); }, {"10 bytes for tensors of 11"});
  expect_refused<InternalError>([&] { writer.append(as_bytes("01")); }, {"12 bytes for tensors of 11"});
}

TEST_F(SafetensorsWriterTest, names_must_differ) {
  expect_refused<InternalError>(
      [&] {
        SafetensorsWriter(path_, {{"a", {}, {}}, {"a", {}, {}}}, {});
      },
      {"taken"});
  expect_refused<InternalError>([&] { SafetensorsWriter(path_, {{"__metadata__", {}, {}}}, {}); }, {"taken"});
}

TEST_F(SafetensorsWriterTest, an_unwritable_folder_is_named) {
  expect_refused<InputError>([&] { SafetensorsWriter(folder_.path() / "no" / "m", tensors_, {}); },
                             {"no/m", "No such file or directory"});
}

TEST_F(SafetensorsWriterTest, the_alignment_can_be_chosen) {
  for (const std::size_t alignment : {std::size_t{1}, std::size_t{8}, std::size_t{4096}}) {
    SafetensorsWriter writer(path_, {{"a", StoredType::u8, {1}}}, {}, alignment);
    writer.append(as_bytes("x"));
    writer.commit();
    EXPECT_EQ((read_file(path_).size() - 1) % alignment, 0u);
  }
}

}  // namespace
}  // namespace cross::io
