// Runs the built `cross` as a user would: arguments in, exit code and both streams out.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "temp_folder.h"

namespace cross::testing {

struct CrossResult {
  int code = -1;  ///< exit code; 128 + signal if the program was killed
  std::string out, err;

  /// stdout as JSON; fails the test and gives null if it is none.
  nlohmann::json json() const;
};

/// Files for one test, and the program run among them: with an empty folder of profiles, so that prices are
/// the shipped ones, and without a terminal.
class CrossFolder {
 public:
  CrossResult run(const std::vector<std::string>& arguments) const;

  /// Path of a file in the folder.
  std::string path(const std::string& name) const { return (folder_.path() / name).string(); }
  bool has(const std::string& name) const { return std::filesystem::exists(folder_.path() / name); }
  const TempFolder& folder() const { return folder_; }
  /// Names of all files, sorted.
  std::vector<std::string> files() const;

  /// model.safetensors: layers a [96, 160] with bias and b [64, 96], an embedding and a norm; returns its
  /// path.
  std::string write_small_model(const std::string& name = "model.safetensors") const;
  /// a compiled plan of tests/data/tiny.smtx; returns its path.
  std::string compile_tiny(const std::string& name = "tiny.plan", const std::string& dtype = "fp32") const;

 private:
  TempFolder folder_;
};

/// Tests of commands in a folder of their own.
class CrossCommands : public ::testing::Test {
 protected:
  /// The command succeeds.
  CrossResult done(const std::vector<std::string>& arguments) const;
  /// The command fails with `code` and says all of `words` after "cross: error: "; it prints no data, makes
  /// no file and leaves those there are alone.
  void expect(const std::vector<std::string>& arguments, int code,
              const std::vector<std::string>& words) const;
  std::string path(const std::string& name) const { return folder_.path(name); }

  CrossFolder folder_;
};

/// tests/data/tiny.smtx: 3 × 4, five kept weights, layer "tiny".
std::string tiny_smtx();

/// A line of hand-made NumPy: float32, C order.
std::string npy_bytes(std::int64_t rows, std::int64_t cols, const std::vector<float>& values);

}  // namespace cross::testing
