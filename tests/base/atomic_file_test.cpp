#include "base/atomic_file.h"

#include <gtest/gtest.h>

#include "refusal.h"
#include "temp_folder.h"

namespace cross::base {
namespace {

using testing::expect_refused;
using testing::read_file;
using testing::TempFolder;

int files_in(const TempFolder& folder) {
  return static_cast<int>(std::distance(std::filesystem::directory_iterator(folder.path()), {}));
}

TEST(AtomicFile, appears_complete) {
  const TempFolder folder;
  AtomicFile file(folder.path() / "x");
  file.write("hello ");
  file.write("world");
  EXPECT_FALSE(std::filesystem::exists(folder.path() / "x"));
  file.commit();
  EXPECT_EQ(read_file(folder.path() / "x"), "hello world");
  EXPECT_EQ(files_in(folder), 1);
}

TEST(AtomicFile, leaves_the_old_file_alone_until_commit) {
  const TempFolder folder;
  const auto path = folder.write("x", "old");
  { AtomicFile(path).write("new"); }
  EXPECT_EQ(read_file(path), "old");
  EXPECT_EQ(files_in(folder), 1);
}

TEST(AtomicFile, replaces_what_a_link_points_to) {
  const TempFolder folder;
  const auto target = folder.write("target", "old");
  std::filesystem::create_symlink("target", folder.path() / "link");
  AtomicFile file(folder.path() / "link");
  file.write("new");
  file.commit();
  EXPECT_EQ(read_file(target), "new");
  EXPECT_TRUE(std::filesystem::is_symlink(folder.path() / "link"));
}

TEST(AtomicFile, refuses_what_it_cannot_write) {
  const TempFolder folder;
  expect_refused<InputError>([&] { AtomicFile(folder.path() / "no" / "x"); }, {"no/x", "No such file"});
  expect_refused<InputError>([&] { AtomicFile{folder.path()}; }, {"not a regular file"});
  expect_refused<InputError>([&] { AtomicFile("/dev/null"); }, {"/dev/null", "not a regular file"});
}

}  // namespace
}  // namespace cross::base
