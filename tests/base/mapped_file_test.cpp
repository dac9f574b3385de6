#include "base/mapped_file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <utility>

#include "refusal.h"
#include "temp_folder.h"

namespace cross::base {
namespace {

using testing::expect_refused;
using testing::TempFolder;

TEST(MappedFile, shows_the_bytes_and_keeps_them_in_place_when_moved) {
  const TempFolder folder;
  MappedFile file(folder.write("x", "hello"));
  const std::byte* const data = file.bytes().data();
  MappedFile moved(std::move(file));
  EXPECT_EQ(moved.bytes().data(), data);
  EXPECT_EQ(as_text(moved.bytes()), "hello");
  file = std::move(moved);
  EXPECT_EQ(as_text(file.bytes()), "hello");
}

TEST(MappedFile, an_empty_file_has_no_bytes) {
  const TempFolder folder;
  EXPECT_TRUE(MappedFile(folder.write("x", "")).bytes().empty());
}

TEST(MappedFile, released_pages_come_back) {
  const TempFolder folder;
  const MappedFile file(folder.write("x", std::string(100'000, 'a')));
  EXPECT_EQ(file.bytes()[50'000], std::byte{'a'});
  file.release(file.bytes().subspan(10, 90'000));
  EXPECT_EQ(as_text(file.bytes()), std::string(100'000, 'a'));
}

TEST(MappedFile, releases_nothing_that_is_not_its_own) {
  const TempFolder folder;
  const MappedFile file(folder.write("x", "hello"));
  std::vector<std::byte> other(100'000, std::byte{7});
  file.release(other);
  for (const std::byte b : other) ASSERT_EQ(b, std::byte{7});
}

TEST(MappedFile, refuses_what_is_no_file) {
  const TempFolder folder;
  expect_refused<UsageError>([&] { MappedFile(folder.path() / "none"); }, {"none", "no such file"});
  expect_refused<UsageError>([&] { MappedFile{folder.path()}; }, {"not a regular file"});
  ASSERT_EQ(::mkfifo((folder.path() / "pipe").c_str(), 0600), 0);
  expect_refused<UsageError>([&] { MappedFile(folder.path() / "pipe"); }, {"not a regular file"});
}

}  // namespace
}  // namespace cross::base
