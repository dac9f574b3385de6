// fp32 products of cross_panels, split_blocks and row_lists against float64: odd shapes, special values,
// equal bits.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <span>
#include <vector>

#include "compiler/pack/gpu/pack_gpu.h"
#include "cross/executor.h"
#include "cuda/floats.h"
#include "cuda/gpu_test.h"
#include "cuda/memory.h"
#include "kernels/cuda/gpu_kernel.h"
#include "plan/formats/gpu/packed.h"

namespace cross::testing {
namespace {

using compiler::CrossPanelsOptions;
using kernels::cuda::counter_bytes;
using kernels::cuda::GpuArgs;
using kernels::cuda::GpuKernel;
using Units = CrossPanelsOptions::Units;
using Policy = CrossPanelsOptions::Policy;

template <Format format>
class Fp32Products : public GpuTest {
 protected:
  void SetUp() override {
    GpuTest::SetUp();
    if (IsSkipped()) return;
    kernel_ = kernels::cuda::gpu_kernel_for(format, gpu().major, gpu().minor);
    if (kernel_ == nullptr) GTEST_SKIP() << name_of(format) << " does not run on this GPU";
  }

  /// Twice, with equal bits; counters zero afterwards; y as close as it has to be.
  void check(const Floats& weight, const Floats& x, const CrossPanelsOptions& cross, GpuArgs args = {},
             const Floats* residual = nullptr, const std::vector<float>& bias = {}) {
    compiler::GpuTarget target;
    target.sms = gpu().sms;
    target.shared_bytes = gpu().shared_bytes;
    target.tokens = x.rows;
    target.cross = cross;
    std::int64_t kept = 0;
    const auto blob = compiler::pack_gpu(
        {DType::fp32, weight.rows, weight.cols, reinterpret_cast<const std::byte*>(weight.values.data())},
        DType::fp32, format, target, available_cores(), kept);
    ASSERT_EQ(formats::gpu::check(blob, format, weight.rows, weight.cols), "");
    const cuda::DeviceBuffer packed(blob.size(), "weights"), x_gpu(x.bytes().size(), "x");
    packed.upload(blob);
    x_gpu.upload(x.bytes());
    const kernels::cuda::PackedMatrix matrix{blob, packed.data(), DType::fp32};
    ASSERT_EQ(kernel_->refuses(matrix, x.rows, gpu().shared_bytes), "");
    const cuda::DeviceBuffer workspace(std::max(counter_bytes, kernel_->workspace(matrix, x.rows)),
                                       "workspace");
    workspace.fill(0xff);
    workspace.upload(std::vector<std::byte>(counter_bytes));
    const auto outputs = static_cast<std::size_t>(x.rows * weight.rows);
    const cuda::DeviceBuffer y(4 * outputs, "y"), bias_gpu(4 * bias.size() + 4, "bias"),
        residual_gpu(4 * outputs, "residual");
    bias_gpu.upload(std::as_bytes(std::span(bias)));
    args.x = x_gpu.data();
    args.y = y.data();
    args.tokens = x.rows;
    args.workspace = workspace.data();
    if (!bias.empty()) args.bias = reinterpret_cast<const float*>(bias_gpu.data());
    if (residual != nullptr) {
      residual_gpu.upload(residual->bytes());
      args.residual = residual_gpu.data();
    }
    const cuda::Stream stream;
    args.stream = stream.get();
    std::vector<float> first(outputs), second(outputs);
    for (std::vector<float>* out : {&first, &second}) {
      y.fill(0xff);
      ASSERT_EQ(kernel_->launch(matrix, args), 0);
      stream.wait();
      y.download(std::as_writable_bytes(std::span(*out)));
    }
    EXPECT_EQ(std::memcmp(first.data(), second.data(), 4 * outputs), 0) << "two runs differ";
    std::vector<std::byte> counters(counter_bytes);
    workspace.download(counters);
    EXPECT_TRUE(std::all_of(counters.begin(), counters.end(), [](std::byte b) { return b == std::byte{0}; }));
    workspace_bytes_ = workspace.size();
    expect_product(weight, x, first, args.activation, residual, bias);
  }

  struct Shape {
    std::int64_t rows, cols, tokens;
  };
  static std::vector<Shape> odd_shapes() {
    return {{1, 1, 1},        {3, 7, 2},        {64, 64, 128},     {65, 63, 129},
            {127, 200, 33},   {257, 1031, 9},   {300, 1000, 130},  {512, 512, 256},
            {1024, 256, 256}, {2048, 512, 200}, {512, 4608, 256},  {130, 5000, 64},
            {4000, 130, 520}, {1031, 77, 31},   {1100, 2052, 300}, {256, 9000, 65}};
  }
  /// Products of i.i.d. weights of all densities.
  void check_odd_shapes(std::span<const Shape> shapes, unsigned seed) {
    for (const Shape& shape : shapes)
      for (const double density : {0.1, 0.0, 0.004, 0.5, 1.0}) {
        // The float64 product takes longest.
        if (density != 0.1 && shape.rows * shape.cols * shape.tokens > 50'000'000) break;
        SCOPED_TRACE(::testing::Message() << shape.rows << "x" << shape.cols << ", " << shape.tokens
                                          << " tokens, density " << density);
        const Floats weight = random_floats(++seed, shape.rows, shape.cols, density);
        ASSERT_NO_FATAL_FAILURE(check(weight, random_floats(98, shape.tokens, shape.cols, 1), {}));
      }
  }

  /// Bias and residual, then an activation and bias.
  void check_epilogues(std::int64_t rows, std::int64_t cols, double density) {
    const Floats weight = random_floats(3, rows, cols, density), x = random_floats(4, 77, cols, 1),
                 residual = random_floats(5, 77, rows, 1);
    std::vector<float> bias(static_cast<std::size_t>(rows));
    for (std::size_t i = 0; i < bias.size(); ++i) bias[i] = 0.37f * static_cast<float>(i % 11) - 1.7f;
    GpuArgs relu;
    relu.activation = Activation::relu;
    ASSERT_NO_FATAL_FAILURE(check(weight, x, {}, {}, &residual, bias));
    ASSERT_NO_FATAL_FAILURE(check(weight, x, {}, relu, nullptr, bias));
  }

  static CrossPanelsOptions options(Units units, Policy policy = Policy::automatic) {
    CrossPanelsOptions result;
    result.units = units;
    result.policy = policy;
    result.gather_fraction = 0.4;
    return result;
  }

  const GpuKernel* kernel_ = nullptr;
  std::size_t workspace_bytes_ = 0;  ///< of the last check
};

using CrossPanels = Fp32Products<Format::cross_panels>;
using SplitBlocks = Fp32Products<Format::split_blocks>;
using RowLists = Fp32Products<Format::row_lists>;

TEST_F(CrossPanels, OddShapesAllDensitiesBothUnits) {
  unsigned seed = 1;
  for (const Shape& shape : {Shape{1, 1, 1},
                             {3, 7, 2},
                             {64, 64, 128},
                             {65, 63, 129},
                             {127, 200, 33},
                             {257, 1031, 9},
                             {300, 1000, 130},
                             {520, 640, 300},
                             {1031, 77, 31}})
    for (const double density : {0.0, 0.02, 0.3, 1.0})
      for (const Units units : {Units::balanced, Units::all_tensor, Units::all_gather, Units::fraction}) {
        SCOPED_TRACE(::testing::Message()
                     << shape.rows << "x" << shape.cols << ", " << shape.tokens << " tokens, density "
                     << density << ", units " << static_cast<int>(units));
        const Floats weight = random_floats(++seed, shape.rows, shape.cols, density);
        ASSERT_NO_FATAL_FAILURE(
            check(weight, random_floats(99, shape.tokens, shape.cols, 1), options(units)));
      }
}

TEST_F(CrossPanels, EveryPolicy) {
  const Floats weight = random_floats(1, 700, 900, 0.2), x = random_floats(2, 400, 900, 1);
  for (const Policy policy : {Policy::same, Policy::paired, Policy::longest_first, Policy::even_cut})
    ASSERT_NO_FATAL_FAILURE(check(weight, x, options(Units::fraction, policy)));
}

TEST_F(CrossPanels, Epilogues) {
  const Floats weight = random_floats(3, 261, 520, 0.4), x = random_floats(4, 77, 520, 1),
               residual = random_floats(5, 77, 261, 1);
  std::vector<float> bias(261);
  for (std::size_t i = 0; i < bias.size(); ++i) bias[i] = 0.37f * static_cast<float>(i % 11) - 1.7f;
  GpuArgs relu;
  relu.activation = Activation::relu;
  ASSERT_NO_FATAL_FAILURE(check(weight, x, options(Units::fraction), {}, &residual, bias));
  ASSERT_NO_FATAL_FAILURE(check(weight, x, options(Units::all_tensor), relu, nullptr, bias));
}

/// Inf and NaN where nothing is kept contribute nothing; where a weight is kept they spread.
TEST_F(CrossPanels, InfAndNan) {
  Floats weight = random_floats(6, 300, 600, 0.3), x = random_floats(7, 140, 600, 1);
  for (std::int64_t r = 0; r < weight.rows; ++r) weight.at(r, 77) = 0;
  for (std::int64_t t = 0; t < x.rows; t += 5) x.at(t, 77) = t % 2 == 0 ? INFINITY : NAN;
  x.at(3, 300) = -INFINITY;
  x.at(130, 599) = NAN;
  for (const Units units : {Units::all_tensor, Units::all_gather, Units::fraction})
    ASSERT_NO_FATAL_FAILURE(check(weight, x, options(units)));
  for (std::int64_t c = 0; c < weight.cols; ++c)
    if (weight.at(20, c) != 0) weight.at(20, c) = INFINITY;
  weight.at(21, 5) = NAN;
  weight.at(22, 6) = -0.0f;
  ASSERT_NO_FATAL_FAILURE(check(weight, x, options(Units::all_tensor)));
}

/// Rows and tokens of very different magnitude: each has a scale of its own.
TEST_F(CrossPanels, Magnitudes) {
  Floats weight = random_floats(8, 200, 500, 0.4), x = random_floats(9, 130, 500, 1);
  for (std::int64_t r = 0; r < weight.rows; ++r)
    for (std::int64_t c = 0; c < weight.cols; ++c)
      weight.at(r, c) *= std::ldexp(1.0f, static_cast<int>(r % 60) - 30);
  for (std::int64_t t = 0; t < x.rows; ++t)
    for (std::int64_t c = 0; c < x.cols; ++c) x.at(t, c) *= std::ldexp(1.0f, static_cast<int>(t % 80) - 40);
  ASSERT_NO_FATAL_FAILURE(check(weight, x, options(Units::fraction)));
}

/// Every tile of the kernel: few and many rows and tokens, K short and long; empty blocks, and none at all.
TEST_F(SplitBlocks, OddShapesAllDensities) { ASSERT_NO_FATAL_FAILURE(check_odd_shapes(odd_shapes(), 50)); }

TEST_F(SplitBlocks, Epilogues) {
  for (const std::int64_t rows : {261, 264}) ASSERT_NO_FATAL_FAILURE(check_epilogues(rows, 520, 0.4));
}

/// Also far along K, after finite blocks.
TEST_F(SplitBlocks, InfAndNan) {
  for (const std::int64_t cols : {600, 3000}) {
    Floats weight = random_floats(6, 300, cols, 0.3), x = random_floats(7, 140, cols, 1);
    for (std::int64_t r = 0; r < weight.rows; ++r) weight.at(r, 77) = 0;
    for (std::int64_t t = 0; t < x.rows; t += 5) x.at(t, 77) = t % 2 == 0 ? INFINITY : NAN;
    x.at(3, 300) = -INFINITY;
    x.at(130, cols - 1) = NAN;
    x.at(10, 500) = 1e-30f;
    ASSERT_NO_FATAL_FAILURE(check(weight, x, {}));
    weight.at(22, 6) = -0.0f;
    x.at(7, 6) = INFINITY;
    ASSERT_NO_FATAL_FAILURE(check(weight, x, {}));
  }
}

/// Rows and tokens of very different magnitude, and tokens that grow or shrink along K.
TEST_F(SplitBlocks, Magnitudes) {
  for (const int step : {0, 3, -3}) {
    Floats weight = random_floats(8, 200, 1500, 0.4), x = random_floats(9, 130, 1500, 1);
    for (std::int64_t r = 0; r < weight.rows; ++r)
      for (std::int64_t c = 0; c < weight.cols; ++c)
        weight.at(r, c) *= std::ldexp(1.0f, static_cast<int>(r % 60) - 30);
    for (std::int64_t t = 0; t < x.rows; ++t)
      for (std::int64_t c = 0; c < x.cols; ++c)
        x.at(t, c) *= std::ldexp(1.0f, static_cast<int>(t % 80) - 40 + step * static_cast<int>(c / 150));
    ASSERT_NO_FATAL_FAILURE(check(weight, x, {}));
  }
}

/// Products large enough for the persistent kernel, which has a workspace; odd rows, columns, tokens and
/// numbers of blocks, tiles of which several CTAs have parts.
class LargeSplitBlocks : public SplitBlocks {
 protected:
  static constexpr std::int64_t rows = 2101, cols = 2081, tokens = 261;

  void check_large(const Floats& weight, const Floats& x, GpuArgs args = {}, const Floats* residual = nullptr,
                   const std::vector<float>& bias = {}) {
    check(weight, x, {}, args, residual, bias);
    if (HasFatalFailure()) return;
    EXPECT_GT(workspace_bytes_, counter_bytes) << "another kernel ran";
  }
};

TEST_F(LargeSplitBlocks, AllDensities) {
  const Floats x = random_floats(20, tokens, cols, 1);
  for (const double density : {0.1, 0.0, 0.001, 0.25})
    ASSERT_NO_FATAL_FAILURE(check_large(random_floats(21, rows, cols, density), x));
  ASSERT_NO_FATAL_FAILURE(check_large(random_floats(22, 4096, 1088, 0.1), random_floats(23, 130, 1088, 1)));
}

TEST_F(LargeSplitBlocks, Epilogues) {
  for (const std::int64_t extent : {rows, rows + 1}) {
    const Floats weight = random_floats(24, extent, cols, 0.05), x = random_floats(25, tokens, cols, 1),
                 residual = random_floats(26, tokens, extent, 1);
    std::vector<float> bias(static_cast<std::size_t>(extent));
    for (std::size_t i = 0; i < bias.size(); ++i) bias[i] = 0.37f * static_cast<float>(i % 11) - 1.7f;
    GpuArgs relu;
    relu.activation = Activation::relu;
    ASSERT_NO_FATAL_FAILURE(check_large(weight, x));
    ASSERT_NO_FATAL_FAILURE(check_large(weight, x, {}, &residual, bias));
    ASSERT_NO_FATAL_FAILURE(check_large(weight, x, relu, nullptr, bias));
  }
}

TEST_F(LargeSplitBlocks, InfAndNan) {
  Floats weight = random_floats(27, rows, cols, 0.05), x = random_floats(28, tokens, cols, 1);
  for (std::int64_t r = 0; r < rows; ++r) weight.at(r, 77) = 0;
  for (std::int64_t t = 0; t < tokens; t += 7) x.at(t, 77) = t % 2 == 0 ? INFINITY : NAN;
  x.at(3, 300) = -INFINITY;
  x.at(130, cols - 1) = NAN;
  weight.at(22, 6) = -0.0f;
  x.at(9, 6) = INFINITY;
  ASSERT_NO_FATAL_FAILURE(check_large(weight, x));
}

TEST_F(LargeSplitBlocks, Magnitudes) {
  Floats weight = random_floats(29, rows, cols, 0.1), x = random_floats(30, tokens, cols, 1);
  for (std::int64_t r = 0; r < rows; ++r)
    for (std::int64_t c = 0; c < cols; ++c)
      weight.at(r, c) *= std::ldexp(1.0f, static_cast<int>(r % 60) - 30);
  for (std::int64_t t = 0; t < tokens; ++t)
    for (std::int64_t c = 0; c < cols; ++c) x.at(t, c) *= std::ldexp(1.0f, static_cast<int>(t % 80) - 40);
  ASSERT_NO_FATAL_FAILURE(check_large(weight, x));
}

/// Every tile of the kernel: one panel of rows to eight, K in one block, in several, and shared by a cluster;
/// panels that are not full, rows without weights and with nothing but weights.
TEST_F(RowLists, OddShapesAllDensities) {
  std::vector<Shape> shapes = odd_shapes();
  shapes.push_back({8200, 1100, 130});
  ASSERT_NO_FATAL_FAILURE(check_odd_shapes(shapes, 80));
}

/// One row has most of the weights: many warps have parts of it.
TEST_F(RowLists, RowsOfVeryDifferentLength) {
  Floats weight = random_floats(60, 200, 2100, 0.01);
  const Floats full = random_floats(61, 1, 2100, 0.9);
  for (const std::int64_t row : {0, 77, 78, 199})
    for (std::int64_t c = 0; c < weight.cols; ++c)
      weight.at(row, c) = full.values[static_cast<std::size_t>(c)];
  ASSERT_NO_FATAL_FAILURE(check(weight, random_floats(62, 70, 2100, 1), {}));
}

TEST_F(RowLists, Epilogues) {
  for (const std::int64_t rows : {261, 264})
    for (const std::int64_t cols : {520, 2100}) ASSERT_NO_FATAL_FAILURE(check_epilogues(rows, cols, 0.1));
}

/// Inf and NaN where nothing is kept contribute nothing; where a weight is kept they spread. Weights may be
/// anything.
TEST_F(RowLists, InfAndNan) {
  for (const std::int64_t cols : {600, 3000}) {
    Floats weight = random_floats(6, 300, cols, 0.1), x = random_floats(7, 140, cols, 1);
    for (std::int64_t r = 0; r < weight.rows; ++r) weight.at(r, 77) = 0;
    for (std::int64_t t = 0; t < x.rows; t += 5) x.at(t, 77) = t % 2 == 0 ? INFINITY : NAN;
    x.at(3, 300) = -INFINITY;
    x.at(130, cols - 1) = NAN;
    ASSERT_NO_FATAL_FAILURE(check(weight, x, {}));
    for (std::int64_t c = 0; c < weight.cols; ++c)
      if (weight.at(20, c) != 0) weight.at(20, c) = INFINITY;
    weight.at(21, 5) = NAN;
    weight.at(22, 6) = -0.0f;
    x.at(7, 6) = INFINITY;
    ASSERT_NO_FATAL_FAILURE(check(weight, x, {}));
  }
}

TEST_F(RowLists, Magnitudes) {
  Floats weight = random_floats(8, 200, 1500, 0.1), x = random_floats(9, 130, 1500, 1);
  for (std::int64_t r = 0; r < weight.rows; ++r)
    for (std::int64_t c = 0; c < weight.cols; ++c)
      weight.at(r, c) *= std::ldexp(1.0f, static_cast<int>(r % 60) - 30);
  for (std::int64_t t = 0; t < x.rows; ++t)
    for (std::int64_t c = 0; c < x.cols; ++c) x.at(t, c) *= std::ldexp(1.0f, static_cast<int>(t % 80) - 40);
  ASSERT_NO_FATAL_FAILURE(check(weight, x, {}));
}

/// Small enough for compute-sanitizer's racecheck, large enough for every part of the kernels (docs/gpu.md).
TEST_F(CrossPanels, Racecheck) {
  const Floats weight = random_floats(31, 200, 300, 0.2), x = random_floats(32, 70, 300, 1);
  for (const Units units : {Units::all_tensor, Units::fraction})
    ASSERT_NO_FATAL_FAILURE(check(weight, x, options(units)));
}
TEST_F(SplitBlocks, Racecheck) {
  ASSERT_NO_FATAL_FAILURE(check(random_floats(33, 200, 300, 0.2), random_floats(34, 70, 300, 1), {}));
}
TEST_F(RowLists, Racecheck) {
  ASSERT_NO_FATAL_FAILURE(check(random_floats(37, 200, 300, 0.1), random_floats(38, 70, 300, 1), {}));
  ASSERT_NO_FATAL_FAILURE(check(random_floats(39, 512, 2100, 0.02), random_floats(40, 70, 2100, 1), {}));
}
TEST_F(LargeSplitBlocks, Racecheck) {
  ASSERT_NO_FATAL_FAILURE(check_large(random_floats(35, 8000, 2100, 0.01), random_floats(36, 65, 2100, 1)));
}

}  // namespace
}  // namespace cross::testing
