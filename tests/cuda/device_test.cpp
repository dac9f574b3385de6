// Which GPU, and what is said where there is none.
#include <gtest/gtest.h>

#include "compiler/pack/gpu/pack_gpu.h"
#include "cross/error.h"
#include "cuda/gpu_test.h"
#include "cuda/replay.h"
#include "kernels/cuda/gpu_kernel.h"
#include "plan/formats/gpu/packed.h"
#include "refusal.h"

namespace cross::testing {
namespace {

TEST(Device, WithoutAGpuTheErrorSaysWhatIsNeeded) {
  if (first_gpu() != nullptr) GTEST_SKIP() << "this machine has a GPU";
  expect_refused<DeviceError>([] { cuda::require_device(0); },
                              {"--device cuda:0", "NVIDIA", "compute capability 8.0 or later"});
}

TEST_F(GpuTest, IndexesThatDoNotExist) {
  expect_refused<DeviceError>([] { cuda::require_device(99); }, {"--device cuda:99", "this machine has"});
  EXPECT_EQ(cuda::require_device(0).index, 0);
}

/// After any even number of rounds every side has run as early as the others, and after all of them in turn
/// every side has been first and last.
TEST(Turns, NoSideRunsEarlierThanAnother) {
  for (const std::size_t sides : {1, 2, 3, 6}) {
    SCOPED_TRACE(sides);
    std::vector<std::size_t> places(sides), firsts(sides);
    for (std::size_t round = 0; round < 2 * sides; ++round) {
      const auto order = cuda::turn_order(sides, round);
      ASSERT_EQ(order.size(), sides);
      for (std::size_t i = 0; i < sides; ++i) places.at(order[i]) += i;
      ++firsts.at(order[0]);
      if (round % 2 == 1) {
        EXPECT_EQ(places, std::vector<std::size_t>(sides, (sides - 1) * (round + 1) / 2));
      }
    }
    EXPECT_EQ(firsts, std::vector<std::size_t>(sides, 2));
  }
}

/// Where power bounds every side, samples are long and few.
TEST(Turns, SamplesGrowWithTokens) {
  EXPECT_EQ(cuda::sample_seconds(64), 0);
  EXPECT_EQ(cuda::sample_seconds(128), cuda::short_sample);
  EXPECT_EQ(cuda::sample_seconds(2047), cuda::short_sample);
  EXPECT_EQ(cuda::sample_seconds(2048), cuda::long_sample);
  EXPECT_FALSE(cuda::sampled(0).settle);
  EXPECT_EQ(cuda::sampled(cuda::short_sample).least, 6u);
  EXPECT_EQ(cuda::sampled(cuda::long_sample).least, 2u);
  EXPECT_TRUE(cuda::sampled(cuda::long_sample).settle);
}

TEST(Turns, MedianAndSpread) {
  EXPECT_EQ(cuda::summary({}).median_us, 0);
  EXPECT_EQ(cuda::summary({3, 1, 2}).median_us, 2);
  EXPECT_EQ(cuda::summary({4, 1, 3, 2}).median_us, 2.5);
  EXPECT_EQ(cuda::summary({4, 1, 3, 2}).spread, 1.2);
}

TEST(Table, RowsAreComplete) {
  for (const kernels::cuda::GpuKernel& kernel : kernels::cuda::gpu_kernels()) {
    SCOPED_TRACE(kernel.id());
    EXPECT_TRUE(is_gpu_format(kernel.format));
    EXPECT_TRUE(kernel.arch == "sm80" || kernel.arch == "sm90");
    EXPECT_GE(kernel.max_tokens, 1);
    EXPECT_NE(kernel.refuses, nullptr);
    EXPECT_NE(kernel.workspace, nullptr);
    EXPECT_NE(kernel.launch, nullptr);
  }
}

TEST(Table, OldGpusHaveNoKernel) {
  for (const Format format : gpu_formats) {
    EXPECT_EQ(kernels::cuda::gpu_kernel_for(format, 7, 5), nullptr);
    const auto* on_ampere = kernels::cuda::gpu_kernel_for(format, 8, 0);
    if (on_ampere != nullptr) {
      EXPECT_EQ(on_ampere->arch, "sm80");
    }
  }
}

/// Only the sizes are looked at: no memory stands behind them.
TEST(Packing, RefusesSizesThatInt32CannotCount) {
  for (const Format format : gpu_formats) {
    EXPECT_NE(
        compiler::gpu_format_refuses({DType::bf16, std::int64_t{1} << 31, 1, nullptr}, DType::bf16, format),
        "");
    EXPECT_NE(
        compiler::gpu_format_refuses({DType::bf16, 1, std::int64_t{1} << 31, nullptr}, DType::bf16, format),
        "");
    const DType other = formats::gpu::holds(format, DType::fp32) ? DType::bf16 : DType::fp32;
    EXPECT_NE(compiler::gpu_format_refuses({other, 8, 8, nullptr}, other, format), "");
  }
}

}  // namespace
}  // namespace cross::testing
