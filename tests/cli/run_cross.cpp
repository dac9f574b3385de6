#include "cli/run_cross.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <random>

#include "io/npy.h"
#include "prune/models.h"

namespace cross::testing {
namespace {

/// The program beside the tests; $CROSS_TEST_PROGRAM where they were built elsewhere.
const char* program() {
  const char* given = std::getenv("CROSS_TEST_PROGRAM");
  return given != nullptr ? given : CROSS_PROGRAM;
}

/// In the child: never returns.
[[noreturn]] void become_cross(const std::vector<std::string>& arguments, const std::string& out,
                               const std::string& err, const std::string& profiles) {
  const int out_file = ::open(out.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  const int err_file = ::open(err.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  ::dup2(::open("/dev/null", O_RDONLY), STDIN_FILENO);
  ::dup2(out_file, STDOUT_FILENO);
  ::dup2(err_file, STDERR_FILENO);
  ::setenv("CROSS_PROFILE_DIR", profiles.c_str(), 1);
  // Threads that spin while others compute would make the tests crawl on a machine that is busy otherwise.
  ::setenv("OMP_WAIT_POLICY", "passive", 1);
  std::vector<char*> argv = {const_cast<char*>(program())};
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  ::execv(program(), argv.data());
  ::_exit(127);
}

}  // namespace

nlohmann::json CrossResult::json() const {
  auto value = nlohmann::json::parse(out, nullptr, false);
  EXPECT_FALSE(value.is_discarded()) << "stdout is no JSON:\n" << out << "\nstderr:\n" << err;
  return value.is_discarded() ? nlohmann::json() : value;
}

CrossResult CrossFolder::run(const std::vector<std::string>& arguments) const {
  const TempFolder streams;
  const std::string out = streams.path() / "out", err = streams.path() / "err",
                    profiles = streams.path() / "profiles";
  const pid_t child = ::fork();
  if (child == 0) become_cross(arguments, out, err, profiles);
  int status = 0;
  ::waitpid(child, &status, 0);
  return {WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), read_file(out), read_file(err)};
}

std::vector<std::string> CrossFolder::files() const {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder_.path()))
    names.push_back(entry.path().filename().string());
  std::sort(names.begin(), names.end());
  return names;
}

std::string CrossFolder::write_small_model(const std::string& name) const {
  std::mt19937 random(7);
  std::normal_distribution<float> normal;
  const auto values = [&](std::size_t count) {
    std::vector<float> result(count);
    for (float& value : result) value = normal(random);
    return result;
  };
  write_model(folder_.path() / name, {{"embed_tokens.weight", {8, 16}, values(128)},
                                      {"a.weight", {96, 160}, values(96 * 160)},
                                      {"a.bias", {96}, values(96)},
                                      {"b.weight", {64, 96}, values(64 * 96)},
                                      {"norm.weight", {16}, values(16)}});
  return path(name);
}

std::string CrossFolder::compile_tiny(const std::string& name, const std::string& dtype) const {
  const CrossResult result =
      run({"compile", tiny_smtx(), "-o", path(name), "--dtype", dtype, "--no-measure", "--threads", "2"});
  EXPECT_EQ(result.code, 0) << result.err;
  return path(name);
}

CrossResult CrossCommands::done(const std::vector<std::string>& arguments) const {
  CrossResult result = folder_.run(arguments);
  EXPECT_EQ(result.code, 0) << arguments.front() << ": " << result.err;
  return result;
}

void CrossCommands::expect(const std::vector<std::string>& arguments, int code,
                           const std::vector<std::string>& words) const {
  const auto before = folder_.files();
  const CrossResult result = folder_.run(arguments);
  EXPECT_EQ(result.code, code) << result.err;
  EXPECT_EQ(result.out, "");
  EXPECT_THAT(result.err, ::testing::HasSubstr("cross: error: "));
  for (const std::string& word : words) EXPECT_THAT(result.err, ::testing::HasSubstr(word));
  EXPECT_EQ(folder_.files(), before);
}

std::string tiny_smtx() {
  const char* folder = std::getenv("CROSS_TEST_DATA");
  return folder != nullptr ? std::string(folder) + "/tiny.smtx" : CROSS_SOURCE_DIR "/tests/data/tiny.smtx";
}

std::string npy_bytes(std::int64_t rows, std::int64_t cols, const std::vector<float>& values) {
  const TempFolder folder;
  io::write_npy(folder.path() / "x.npy", rows, cols, values);
  return read_file(folder.path() / "x.npy");
}

}  // namespace cross::testing
