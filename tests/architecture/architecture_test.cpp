// The shape of the code, read from its #include lines: what is said here about layers holds, or this fails.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace cross {
namespace {

namespace fs = std::filesystem;
using Names = std::set<std::string>;

/// Names are as #include lines write them: "plan/check.h", "cross/plan.h"; sources are "plan/check.cpp".
struct File {
  Names quoted;  ///< our own headers
  Names system;  ///< <...>
  int lines = 0;
};

File read(const fs::path& path) {
  File file;
  std::ifstream stream(path);
  for (std::string line; std::getline(stream, line); ++file.lines) {
    const auto hash = line.find_first_not_of(' ');
    if (hash == std::string::npos || line.compare(hash, 8, "#include") != 0) continue;
    const auto open = line.find_first_of("\"<", hash);
    if (open == std::string::npos) continue;
    const auto close = line.find_first_of("\">", open + 1);
    (line[open] == '"' ? file.quoted : file.system).insert(line.substr(open + 1, close - open - 1));
  }
  return file;
}

const std::map<std::string, File>& files() {
  static const std::map<std::string, File> all = [] {
    std::map<std::string, File> found;
    for (const char* root : {"include", "src"}) {
      const fs::path base = fs::path(CROSS_SOURCE_DIR) / root;
      for (const auto& entry : fs::recursive_directory_iterator(base)) {
        const std::string extension = entry.path().extension().string();
        if (extension == ".h" || extension == ".cpp" || extension == ".cu" || extension == ".cuh")
          found[entry.path().lexically_relative(base).generic_string()] = read(entry.path());
      }
    }
    return found;
  }();
  return all;
}

bool is_under(const std::string& name, const std::string& folder) { return name.starts_with(folder + "/"); }

/// CUDA kernels are a layer of their own: they read packed blobs, which CPU kernels know nothing of.
std::string layer_of(const std::string& name) {
  return is_under(name, "kernels/cuda") ? "kernels/cuda" : name.substr(0, name.find('/'));
}

/// Everything that `name` includes, directly or not.
Names reached_from(const std::string& name) {
  Names reached;
  const std::function<void(const std::string&)> visit = [&](const std::string& at) {
    const auto file = files().find(at);
    if (file == files().end()) return;
    for (const std::string& header : file->second.quoted)
      if (reached.insert(header).second) visit(header);
  };
  visit(name);
  return reached;
}

TEST(Architecture, finds_the_sources) {
  EXPECT_GT(files().size(), 100u);
  EXPECT_TRUE(files().contains("cross/plan.h"));
  EXPECT_TRUE(files().at("plan/check.cpp").quoted.contains("plan/check.h"));
  EXPECT_TRUE(reached_from("plan/check.cpp").contains("cross/format.h"));
}

TEST(Architecture, every_own_header_exists) {
  for (const auto& [name, file] : files())
    for (const std::string& header : file.quoted)
      EXPECT_TRUE(files().contains(header))
          << name << " includes \"" << header << "\", which is no header of ours";
}

TEST(Architecture, layers_include_only_what_lies_below) {
  const std::map<std::string, Names> below = {
      {"cross", {"cross"}},
      {"base", {"cross", "base"}},
      {"io", {"cross", "base", "io"}},
      {"prune", {"cross", "base", "io", "prune"}},
      {"kernels", {"cross", "base", "kernels"}},
      {"plan", {"cross", "base", "io", "kernels", "plan"}},
      {"compiler", {"cross", "base", "kernels", "plan", "compiler"}},
      {"runtime", {"cross", "base", "kernels", "plan", "runtime"}},
      {"model", {"cross", "base", "io", "kernels", "plan", "runtime", "model"}},
      {"report", {"cross", "base", "report"}},
      {"kernels/cuda", {"cross", "plan", "kernels/cuda"}},
      {"cuda", {"cross", "base", "kernels/cuda", "plan", "cuda"}},
      {"driver",
       {"cross", "base", "io", "prune", "kernels", "plan", "compiler", "runtime", "cuda", "kernels/cuda",
        "model", "report", "driver"}},
  };
  for (const auto& [name, file] : files()) {
    const auto allowed = below.find(layer_of(name));
    ASSERT_NE(allowed, below.end()) << name << ": a layer that this test does not know";
    for (const std::string& header : file.quoted)
      EXPECT_TRUE(allowed->second.contains(layer_of(header))) << name << " includes \"" << header << "\"";
  }
}

/// Expects that nothing under `folder` reaches a header that `forbidden` accepts.
void expect_unreachable(const std::string& folder, const std::function<bool(const std::string&)>& forbidden) {
  for (const auto& [name, file] : files()) {
    if (!is_under(name, folder)) continue;
    for (const std::string& header : reached_from(name))
      EXPECT_FALSE(forbidden(header)) << name << " reaches \"" << header << "\"";
  }
}

TEST(Architecture, compiler_and_runtime_never_meet) {
  const Names compiler_api = {"cross/compile.h", "cross/calibrate.h", "cross/profile.h", "cross/analysis.h",
                              "cross/prune.h"};
  const Names runtime_api = {"cross/session.h"};
  expect_unreachable("runtime", [&](const std::string& header) {
    return is_under(header, "compiler") || compiler_api.contains(header);
  });
  expect_unreachable("model", [&](const std::string& header) {
    return is_under(header, "compiler") || compiler_api.contains(header);
  });
  expect_unreachable("compiler", [&](const std::string& header) {
    return is_under(header, "runtime") || runtime_api.contains(header);
  });
  for (const char* shared : {"plan", "kernels", "io", "base"})
    expect_unreachable(shared, [&](const std::string& header) {
      return is_under(header, "compiler") || is_under(header, "runtime") || compiler_api.contains(header) ||
             runtime_api.contains(header);
    });
}

TEST(Architecture, decisions_are_functions_of_numbers) {
  // Testable on hand-made costs: no matrix, no kernel, no device.
  for (const char* stage : {"compiler/partition", "compiler/balance", "compiler/reorder"})
    expect_unreachable(stage, [](const std::string& header) {
      return header == "cross/matrix.h" || header == "cross/model.h" || is_under(header, "kernels") ||
             is_under(header, "io");
    });
}

TEST(Architecture, only_kernels_know_instructions_and_libraries) {
  const auto foreign = [](const std::string& header) {
    for (const char* part :
         {"immintrin.h", "simde/", "sleef.h", "oneapi/", "dnnl", "cblas.h", "cuda", "cublas", "mma.h"})
      if (header.starts_with(part)) return true;
    return false;
  };
  for (const auto& [name, file] : files()) {
    // Dropping weights from the caches, for measuring, is an instruction too.
    if (is_under(name, "kernels") || is_under(name, "cuda") || name == "driver/machine.cpp") continue;
    for (const std::string& header : file.system)
      EXPECT_FALSE(foreign(header)) << name << " includes <" << header << ">";
  }
}

TEST(Architecture, only_tokenizers_know_unicode_tables) {
  for (const auto& [name, file] : files())
    for (const std::string& header : file.system)
      EXPECT_TRUE(!header.starts_with("unicode/") || is_under(name, "model/tokenizer"))
          << name << " includes <" << header << ">";
}

TEST(Architecture, files_can_be_read_in_one_sitting) {
  for (const auto& [name, file] : files()) EXPECT_LE(file.lines, 500) << name;
}

}  // namespace
}  // namespace cross
