// One test per mistake; each must leave the disk as it was.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <limits>
#include <string>

#include "cross/error.h"
#include "cross/prune.h"
#include "prune/models.h"
#include "refusal.h"
#include "temp_folder.h"

namespace cross {
namespace {

namespace fs = std::filesystem;
using testing::expect_refused;
using testing::read_file;
using testing::write_folder;
using testing::write_model;

class PruneMistakes : public ::testing::Test {
 protected:
  PruneMistakes() {
    write_model(file_, {{"a.weight", {1, 2}, {1, 2}}});
    write_folder(folder_);
    options_.sparsity = 0.5;
  }

  template <typename ErrorType>
  void refuses(const fs::path& input, const fs::path& output, const std::vector<std::string>& parts) {
    const auto before = everything();
    expect_refused<ErrorType>([&] { prune_model(Model::load(input), output, options_); }, parts);
    EXPECT_EQ(everything(), before) << "the disk changed";
  }

  std::map<std::string, std::string> everything() const {
    std::map<std::string, std::string> files;
    for (const auto& entry : fs::recursive_directory_iterator(temp_.path())) {
      files[entry.path().string()] = entry.is_regular_file() ? read_file(entry.path()) : "";
    }
    return files;
  }

  const testing::TempFolder temp_;
  const fs::path file_ = temp_.path() / "in.safetensors", folder_ = temp_.path() / "in";
  const fs::path out_ = temp_.path() / "out", out_file_ = temp_.path() / "out.safetensors";
  PruneOptions options_;
};

TEST_F(PruneMistakes, FileOntoItself) {
  refuses<UsageError>(file_, file_, {"same file"});
  refuses<UsageError>(file_, temp_.path() / "in" / ".." / "in.safetensors", {"same file"});
}

TEST_F(PruneMistakes, FileOntoALinkToItself) {
  fs::create_symlink(file_, temp_.path() / "link.safetensors");
  refuses<UsageError>(file_, temp_.path() / "link.safetensors", {"same file"});
}

TEST_F(PruneMistakes, FileOntoAHardLinkToItself) {
  fs::create_hard_link(file_, temp_.path() / "hard.safetensors");
  refuses<UsageError>(file_, temp_.path() / "hard.safetensors", {"same file"});
}

TEST_F(PruneMistakes, FileWithAnotherName) {
  refuses<UsageError>(file_, temp_.path() / "out.bin", {"out.bin", ".safetensors"});
}

TEST_F(PruneMistakes, FileIntoAFolder) {
  fs::create_directories(temp_.path() / "dir.safetensors");
  refuses<UsageError>(file_, temp_.path() / "dir.safetensors", {"is a folder"});
}

TEST_F(PruneMistakes, NoFolderToWriteTo) {
  refuses<UsageError>(file_, temp_.path() / "no" / "out.safetensors", {"there is no folder"});
  refuses<UsageError>(folder_, temp_.path() / "no" / "out", {"there is no folder"});
}

TEST_F(PruneMistakes, FolderOntoItself) {
  refuses<UsageError>(folder_, folder_, {"same folder"});
  refuses<UsageError>(folder_, folder_.string() + "/", {"same folder"});
  refuses<UsageError>(folder_, folder_ / "extra" / "..", {"same folder"});
}

TEST_F(PruneMistakes, FolderOntoALinkToItself) {
  fs::create_directory_symlink(folder_, temp_.path() / "link");
  expect_refused<UsageError>([&] { prune_model(Model::load(folder_), temp_.path() / "link", options_); },
                             {"same folder"});
}

TEST_F(PruneMistakes, OutputInsideTheInput) {
  refuses<UsageError>(folder_, folder_ / "pruned", {"inside the input"});
}

TEST_F(PruneMistakes, OutputContainsTheInput) {
  options_.overwrite = true;
  write_folder(folder_ / "nested");
  refuses<UsageError>(folder_ / "nested", folder_, {"contains the input"});
}

TEST_F(PruneMistakes, FolderThatIsNotEmpty) {
  write_folder(out_);
  refuses<UsageError>(folder_, out_, {"not empty", "--overwrite"});
}

TEST_F(PruneMistakes, OverwritingAFolderThatIsNoModel) {
  temp_.write("out/thesis.txt", "years of work");
  options_.overwrite = true;
  refuses<UsageError>(folder_, out_, {"does not hold a model"});
}

TEST_F(PruneMistakes, FolderOntoAFile) { refuses<UsageError>(folder_, file_, {"is a file"}); }

TEST_F(PruneMistakes, EmptyOutputPath) {
  refuses<UsageError>(folder_, "", {"empty"});
  refuses<UsageError>(file_, "", {".safetensors"});
}

TEST_F(PruneMistakes, NothingSelected) {
  options_.selection.exclude = {"*"};
  refuses<UsageError>(file_, out_file_, {"none of the 1 tensors is selected"});
  refuses<UsageError>(folder_, out_, {"none of the 4 tensors is selected"});
}

TEST_F(PruneMistakes, BadOptionsBeforeAnythingIsRead) {
  options_.sparsity = 50;
  refuses<UsageError>(folder_, out_, {"write 0.5"});
}

TEST_F(PruneMistakes, NanInTheSecondShardLeavesNothing) {
  write_model(
      folder_ / "model-2.safetensors",
      {{"a.bias", {1}, {0.5f}}, {"b.weight", {2, 2}, {8, std::numeric_limits<float>::quiet_NaN(), 6, 5}}});
  refuses<InputError>(folder_, out_, {"b.weight", "row 0, column 1", "NaN"});
  options_.scope = PruneScope::global;
  refuses<InputError>(folder_, out_, {"b.weight", "NaN"});
}

TEST_F(PruneMistakes, NanInAFileLeavesTheOldOutput) {
  write_model(file_, {{"a.weight", {1, 2}, {std::numeric_limits<float>::quiet_NaN(), 1}}});
  temp_.write("out.safetensors", "old");
  refuses<InputError>(file_, out_file_, {"NaN"});
}

TEST_F(PruneMistakes, StoppedByTheCallerLeavesNothing) {
  const Model model = Model::load(folder_);
  const auto before = everything();
  const auto stop = [](const PruneProgress&) { throw std::runtime_error("stop"); };
  EXPECT_THROW(prune_model(model, out_, options_, stop), std::runtime_error);
  EXPECT_EQ(everything(), before);
}

}  // namespace
}  // namespace cross
