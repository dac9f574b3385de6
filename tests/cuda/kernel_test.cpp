// Every row of the CUDA kernel table that takes 16-bit values against the float64 product: odd shapes, all
// densities, all token counts.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>

#include "cuda/gpu_test.h"
#include "cuda/packed_on_gpu.h"
#include "plan/formats/gpu/packed.h"

namespace cross::testing {
namespace {

using kernels::cuda::gpu_kernels;
using kernels::cuda::GpuKernel;

struct Shape {
  std::int64_t rows, cols;
};

/// 1, primes, around tiles of 8 to 256 rows and 16 to 1024 columns, K not a multiple of 8, more rows than a
/// CTA per SM takes, K in several groups.
constexpr Shape shapes[] = {{1, 1},     {1, 8},      {3, 7},      {7, 64},     {8, 8},    {16, 16},
                            {17, 31},   {31, 257},   {63, 129},   {64, 128},   {65, 127}, {127, 1031},
                            {129, 640}, {256, 1024}, {257, 24},   {300, 1000}, {1, 4099}, {1031, 1},
                            {40, 5000}, {2, 20000},  {1100, 2056}};
constexpr double densities[] = {0, 0.01, 0.1, 0.5, 0.9, 1};
constexpr std::int64_t token_counts[] = {1, 2, 3, 7, 8, 9, 16, 17, 31, 32, 33, 64};

struct Row {
  const GpuKernel* kernel;
  DType dtype;
};

std::vector<Row> rows() {
  std::vector<Row> all;
  for (const GpuKernel& kernel : gpu_kernels())
    for (const DType dtype : {DType::bf16, DType::fp16})
      if (formats::gpu::holds(kernel.format, dtype)) all.push_back({&kernel, dtype});
  return all;
}

std::string name_of_row(const ::testing::TestParamInfo<Row>& info) {
  std::string name = info.param.kernel->id() + "_" + std::string(name_of(info.param.dtype));
  std::replace(name.begin(), name.end(), '.', '_');
  return name;
}

class Kernels : public OnGpu<::testing::TestWithParam<Row>> {
 protected:
  void SetUp() override {
    OnGpu::SetUp();
    if (!IsSkipped() && !runs_here(kernel())) GTEST_SKIP() << kernel().id() << " does not run on this GPU";
  }
  const GpuKernel& kernel() const { return *GetParam().kernel; }
  DType dtype() const { return GetParam().dtype; }

  /// Runs one packed weight at every token count.
  void run_all_tokens(const Halves& weight, std::int64_t packed_for) {
    const PackedOnGpu packed(weight, kernel().format, packed_for);
    const Halves x = random_halves(99, dtype(), 64, weight.cols, 1);
    const Expected expected = exact_product(weight, x);
    for (const std::int64_t tokens : token_counts) {
      if (tokens > kernel().max_tokens) break;
      SCOPED_TRACE(::testing::Message() << weight.rows << "x" << weight.cols << ", " << tokens
                                        << " tokens, packed for " << packed_for);
      const std::string why = kernel().refuses(packed.matrix(), tokens, gpu().shared_bytes);
      if (tokens <= packed_for) {
        EXPECT_EQ(why, "");
      }
      if (!why.empty()) continue;
      const auto y = run_kernel(kernel(), packed.matrix(), weight.rows, x, tokens);
      ASSERT_TRUE(y);
      ASSERT_EQ(mismatch(expected, {}, *y), "");
      ASSERT_FALSE(HasFailure());
    }
  }
};

TEST_P(Kernels, OddShapesAllDensitiesAllTokens) {
  std::uint64_t seed = 1;
  for (const Shape& shape : shapes)
    for (const double density : densities) {
      SCOPED_TRACE(::testing::Message() << "density " << density);
      const Halves weight = random_weight(kernel().format, ++seed, dtype(), shape.rows, shape.cols, density);
      ASSERT_NO_FATAL_FAILURE(run_all_tokens(weight, kernel().max_tokens));
      ASSERT_FALSE(HasFailure());
    }
}

TEST_P(Kernels, PackedForFewTokens) {
  for (const std::int64_t packed_for : {std::int64_t{1}, std::int64_t{8}})
    for (const Shape& shape : {Shape{300, 1000}, Shape{129, 11008}}) {
      const Halves weight = random_weight(kernel().format, 5, dtype(), shape.rows, shape.cols, 0.3);
      ASSERT_NO_FATAL_FAILURE(run_all_tokens(weight, packed_for));
      ASSERT_FALSE(HasFailure());
    }
}

/// Rows and regions of very different density: nothing is balanced by itself.
TEST_P(Kernels, UnevenRows) {
  Halves weight = random_weight(kernel().format, 6, dtype(), 700, 2000, 0.6);
  for (std::int64_t r = 0; r < weight.rows; ++r)
    for (std::int64_t c = 0; c < weight.cols; ++c)
      if (r % 3 == 0 || (r > 350 && c % 64 != 5 && c < 1500)) weight.at(r, c) = 0;
  ASSERT_NO_FATAL_FAILURE(run_all_tokens(weight, kernel().max_tokens));
}

TEST_P(Kernels, EveryEpilogue) {
  const std::int64_t rows = 261, cols = 520;
  const Halves weight = random_weight(kernel().format, 7, dtype(), rows, cols, 0.4);
  const PackedOnGpu packed(weight, kernel().format, kernel().max_tokens);
  const Halves x = random_halves(8, dtype(), 64, cols, 1), residual = random_halves(9, dtype(), 64, rows, 1);
  std::vector<float> bias(static_cast<std::size_t>(rows));
  for (std::size_t i = 0; i < bias.size(); ++i) bias[i] = 0.37f * static_cast<float>(i % 11) - 1.7f;
  const Expected expected = exact_product(weight, x);
  for (const std::int64_t tokens : {1, 5, 8, 13, 32, 64}) {
    if (tokens > kernel().max_tokens) break;
    for (const Activation activation : all_activations)
      for (const bool with_bias : {false, true})
        for (const int with_residual : {0, 1, 2}) {
          SCOPED_TRACE(::testing::Message() << tokens << " tokens, " << name_of(activation) << ", bias "
                                            << with_bias << ", residual " << with_residual);
          LaunchOptions options;
          options.epilogue.activation = activation;
          if (with_bias) options.epilogue.bias = bias;
          if (with_residual > 0) options.epilogue.residual = &residual;
          options.residual_is_y = with_residual == 2;
          const auto y = run_kernel(kernel(), packed.matrix(), rows, x, tokens, options);
          ASSERT_TRUE(y);
          ASSERT_EQ(mismatch(expected, options.epilogue, *y), "");
        }
  }
}

/// Inf and NaN in x where W is pruned contribute nothing; where it is kept they spread as they must.
TEST_P(Kernels, InfAndNanInActivations) {
  const std::int64_t rows = 200, cols = 600;
  Halves weight = random_weight(kernel().format, 10, dtype(), rows, cols, 0.3);
  for (std::int64_t r = 0; r < rows; ++r) weight.at(r, 77) = 0;  // a column that nobody keeps
  const PackedOnGpu packed(weight, kernel().format, kernel().max_tokens);
  Halves x = random_halves(11, dtype(), 64, cols, 1);
  for (std::int64_t t = 0; t < x.rows; ++t) x.set(t, 77, t % 2 == 0 ? INFINITY : NAN);
  x.set(0, 300, INFINITY);
  x.set(2, 599, NAN);
  x.set(3, 0, -INFINITY);
  const Expected expected = exact_product(weight, x);
  for (const std::int64_t tokens : {1, 4, 8, 16, 33, 64}) {
    if (tokens > kernel().max_tokens) break;
    SCOPED_TRACE(tokens);
    const auto y = run_kernel(kernel(), packed.matrix(), rows, x, tokens);
    ASSERT_TRUE(y);
    ASSERT_EQ(mismatch(expected, {}, *y), "");
  }
}

TEST_P(Kernels, SpecialValuesAmongWeights) {
  const std::int64_t rows = 150, cols = 333;
  Halves weight = random_weight(kernel().format, 12, dtype(), rows, cols, 0.3);
  const auto put = [&](std::int64_t r, std::uint16_t bits) {
    for (std::int64_t c = 0; c < cols; ++c)
      if (weight.at(r, c) != 0) return void(weight.at(r, c) = bits);
  };
  put(3, static_cast<std::uint16_t>(bits_from_float(INFINITY, dtype())));
  put(64, static_cast<std::uint16_t>(bits_from_float(-INFINITY, dtype())));
  put(100, static_cast<std::uint16_t>(bits_from_float(NAN, dtype())));
  put(149, 0x8000);  // −0.0 is kept: times Inf it is NaN
  put(148, 1);       // the smallest subnormal
  const PackedOnGpu packed(weight, kernel().format, kernel().max_tokens);
  Halves x = random_halves(13, dtype(), 8, cols, 1);
  for (std::int64_t c = 0; c < cols; ++c)
    if (weight.at(149, c) == 0x8000) x.set(5, c, INFINITY);
  const Expected expected = exact_product(weight, x);
  for (const std::int64_t tokens : {1, 8}) {
    const auto y = run_kernel(kernel(), packed.matrix(), rows, x, tokens);
    ASSERT_TRUE(y);
    ASSERT_EQ(mismatch(expected, {}, *y), "");
  }
}

TEST_P(Kernels, ExpandsToTheWeight) {
  if (kernel().expand == nullptr) GTEST_SKIP() << kernel().id() << " has no expansion: it runs in slices";
  std::uint64_t seed = 20;
  for (const Shape& shape : shapes)
    for (const double density : {0.0, 0.03, 0.5, 1.0}) {
      SCOPED_TRACE(::testing::Message() << shape.rows << "x" << shape.cols << " at " << density);
      Halves weight = random_weight(kernel().format, ++seed, dtype(), shape.rows, shape.cols, density);
      if (weight.at(0, 0) != 0) weight.at(0, 0) = 0x8000;
      const PackedOnGpu packed(weight, kernel().format, 8);
      const GuardedGpuBuffer out(weight.bits.size() * 2, 0xff);
      const cuda::Stream stream;
      ASSERT_EQ(kernel().expand(packed.matrix(), out.data(), stream.get()), 0);
      stream.wait();
      const auto bytes = out.download();
      ASSERT_TRUE(std::equal(bytes.begin(), bytes.end(), weight.bytes().begin()));
      ASSERT_EQ(out.damage(), "");
    }
}

INSTANTIATE_TEST_SUITE_P(Table, Kernels, ::testing::ValuesIn(rows()), name_of_row);

/// One workspace serves all kernels in turn: each finds its counters as it needs them.
TEST_F(GpuTest, KernelsShareAWorkspace) {
  const std::int64_t rows = 300, cols = 9000;
  struct Prepared {
    const GpuKernel* kernel;
    std::unique_ptr<PackedOnGpu> packed;
    Expected expected;
  };
  const Halves x = random_halves(30, DType::bf16, 8, cols, 1);
  std::vector<Prepared> all;
  std::size_t bytes = 0;
  for (const GpuKernel& kernel : gpu_kernels()) {
    if (!runs_here(kernel) || !formats::gpu::holds(kernel.format, DType::bf16)) continue;
    const Halves weight = random_weight(kernel.format, 31, DType::bf16, rows, cols, 0.2);
    all.push_back(
        {&kernel, std::make_unique<PackedOnGpu>(weight, kernel.format, 8), exact_product(weight, x)});
    bytes = std::max(bytes, kernel.workspace(all.back().packed->matrix(), 8));
  }
  const GuardedGpuBuffer workspace(bytes, 0);
  const cuda::DeviceBuffer x_on_gpu(x.bits.size() * 2, "x"), y(static_cast<std::size_t>(8 * rows) * 2, "y");
  x_on_gpu.upload(x.bytes());
  const cuda::Stream stream;
  for (int round = 0; round < 3; ++round)
    for (const Prepared& one : all) {
      SCOPED_TRACE(one.kernel->id());
      kernels::cuda::GpuArgs args;
      args.x = x_on_gpu.data();
      args.y = y.data();
      args.tokens = 8;
      args.workspace = workspace.data();
      args.stream = stream.get();
      y.fill(0xff);
      ASSERT_EQ(one.kernel->launch(one.packed->matrix(), args), 0);
      stream.wait();
      Halves got(DType::bf16, 8, rows);
      y.download(std::as_writable_bytes(std::span(got.bits)));
      ASSERT_EQ(mismatch(one.expected, {}, got), "");
    }
  EXPECT_EQ(workspace.damage(), "");
}

}  // namespace
}  // namespace cross::testing
