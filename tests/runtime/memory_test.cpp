// A running plan takes the memory of its plan, not twice that: the process's own account of its pages.
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

#include "base/aligned_buffer.h"
#include "cross/session.h"
#include "kernels/dense/dense_product.h"
#include "runtime/run_layer.h"

namespace cross {
namespace {

using testing::Array;
using testing::make_plan;
using testing::random_array;
using testing::Values;

/// Bytes of this process that lie in memory.
std::size_t resident_bytes() {
  std::ifstream file("/proc/self/statm");
  std::size_t size = 0, resident = 0;
  file >> size >> resident;
  return resident * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
}

class Memory : public ::testing::TestWithParam<std::string> {};

TEST_P(Memory, of_a_running_dense_layer_is_that_of_its_weights) {
  if (CROSS_THREAD_SANITIZER) GTEST_SKIP() << "ThreadSanitizer keeps several bytes for each that is touched";
  constexpr std::int64_t rows = 2048, cols = 4096, most_tokens = 512;  // 32 MiB
  const auto path = std::filesystem::path(::testing::TempDir()) / ("memory_" + GetParam() + ".plan");
  {
    const Array w = random_array(1, DType::fp32, rows, cols, 1.0, Values::ordinary);
    make_plan(w, {.formats = {Format::dense}, .library = GetParam()}).save(path);
  }
  const auto executor = make_openmp_executor(2);
  const std::vector<float> x(cols * most_tokens, 1.0f);
  std::vector<float> y(rows * most_tokens, 0.0f);
  base::AlignedBuffer workspace;
  const std::size_t before = resident_bytes();
  const Plan plan = Plan::load(path);
  Session session(plan, *executor);
  for (const std::int64_t tokens : {16, 64, 256, 512, 16}) {
    session.run(0, {.x = x.data(),
                    .y = y.data(),
                    .tokens = tokens,
                    .workspace = workspace.get(session.workspace_bytes(0, tokens))});
    const std::size_t weights = rows * cols * 4;
    const std::size_t scratch = session.workspace_bytes(0, most_tokens);
    // A library's own code and buffers may take some pages on first use.
    EXPECT_LT(resident_bytes(), before + weights * 11 / 10 + scratch + (std::size_t{12} << 20)) << tokens;
  }
  std::filesystem::remove(path);
}

std::vector<std::string> libraries() {
  std::vector<std::string> names;
  for (const auto library : kernels::dense_libraries()) names.emplace_back(name_of(library));
  return names;
}

INSTANTIATE_TEST_SUITE_P(Libraries, Memory, ::testing::ValuesIn(libraries()),
                         [](const auto& library) { return library.param; });

}  // namespace
}  // namespace cross
