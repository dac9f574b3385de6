// Matrices with more than 2^31 elements: handled, in every format.
#include <gtest/gtest.h>
#include <unistd.h>

#include <random>

#include "cuda/gpu_plan.h"
#include "cuda/gpu_test.h"
#include "kernels/cuda/gpu_kernel.h"
#include "plan/formats/gpu/packed.h"

namespace cross::testing {
namespace {

constexpr std::int64_t rows = 66000, cols = 32776;
static_assert(rows * cols > std::int64_t{1} << 31);

TEST_F(GpuTest, MoreElementsThanInt32Counts) {
  if (sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE) < std::int64_t{20} << 30)
    GTEST_SKIP() << "needs 20 GiB of the host's memory";
  Halves weight(DType::bf16, rows, cols);
  std::mt19937_64 random(1);
  for (std::int64_t r = 0; r < rows; ++r)
    for (int i = 0; i < 40; ++i)  // one in 32 groups of four: any format holds it
      weight.set(r, static_cast<std::int64_t>(random() % (cols / 4)) * 4, 1.0f + static_cast<float>(i) / 64);
  const Halves x = random_halves(2, DType::bf16, 4, cols, 1);
  const Expected expected = exact_product(weight, x);
  std::vector<Format> formats = {Format::dense};
  for (const Format format : gpu_formats)
    if (formats::gpu::holds(format, DType::bf16) &&
        kernels::cuda::gpu_kernel_for(format, gpu().major, gpu().minor) != nullptr)
      formats.push_back(format);
  for (const Format format : formats) {
    SCOPED_TRACE(name_of(format));
    const Plan plan = gpu_plan(weight, {.format = format, .tokens = {4}});
    const cuda::Session session(plan);
    SessionCall call(session, 0, x, rows);
    const cuda::Stream stream;
    call.enqueue(stream.get());
    stream.wait();
    EXPECT_EQ(mismatch(expected, {}, call.result()), "");
  }
}

}  // namespace
}  // namespace cross::testing
