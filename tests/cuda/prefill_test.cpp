// Every prefill product of the CUDA kernel table against the float64 product.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "cuda/gpu_test.h"
#include "cuda/packed_on_gpu.h"

namespace cross::testing {
namespace {

using kernels::cuda::gpu_kernels;
using kernels::cuda::GpuKernel;

struct Row {
  const GpuKernel* kernel;
  DType dtype;
};

std::vector<Row> rows() {
  std::vector<Row> all;
  for (const GpuKernel& kernel : gpu_kernels())
    if (kernel.prefill.launch != nullptr)
      for (const DType dtype : {DType::bf16, DType::fp16}) all.push_back({&kernel, dtype});
  return all;
}

std::string name_of_row(const ::testing::TestParamInfo<Row>& info) {
  std::string name = info.param.kernel->id() + "_" + std::string(name_of(info.param.dtype));
  std::replace(name.begin(), name.end(), '.', '_');
  return name;
}

class Prefill : public OnGpu<::testing::TestWithParam<Row>> {
 protected:
  void SetUp() override {
    OnGpu::SetUp();
    if (!IsSkipped() && !runs_here(*GetParam().kernel))
      GTEST_SKIP() << GetParam().kernel->id() << " does not run on this GPU";
  }
  Format format() const { return GetParam().kernel->format; }
  DType dtype() const { return GetParam().dtype; }

  /// The product through the prefill functions of the row.
  void check(const Halves& weight, const PackedOnGpu& packed, const Halves& x, const Expected& expected,
             std::int64_t tokens, LaunchOptions options = {}) {
    const auto& prefill = GetParam().kernel->prefill;
    GpuKernel kernel = *GetParam().kernel;
    kernel.launch = prefill.launch;
    kernel.workspace = prefill.scratch;
    options.counters = false;
    ASSERT_EQ(prefill.refuses(packed.matrix(), tokens, gpu().shared_bytes), "");
    const auto y = run_kernel(kernel, packed.matrix(), weight.rows, x, tokens, options);
    ASSERT_TRUE(y);
    ASSERT_EQ(mismatch(expected, options.epilogue, *y), "");
    ASSERT_FALSE(HasFailure());
  }
};

/// Around panels of 64 rows, blocks of 128 columns, tiles of 128 and 256 tokens; K not a multiple of 8; K
/// that is shared by CTAs.
TEST_P(Prefill, OddShapesAllDensities) {
  struct Shape {
    std::int64_t rows, cols, tokens;
  };
  constexpr Shape shapes[] = {{1, 1, 1},        {3, 7, 65},      {64, 64, 128},   {65, 130, 129},
                              {129, 1031, 100}, {257, 24, 300},  {300, 1000, 70}, {128, 128, 256},
                              {63, 4099, 257},  {520, 640, 513}, {1100, 2056, 77}};
  std::uint64_t seed = 1;
  for (const Shape& shape : shapes)
    for (const double density : {0.0, 0.02, 0.3, 0.5, 1.0}) {
      SCOPED_TRACE(::testing::Message() << shape.rows << "x" << shape.cols << ", " << shape.tokens
                                        << " tokens, density " << density);
      const Halves weight = random_weight(format(), ++seed, dtype(), shape.rows, shape.cols, density);
      const PackedOnGpu packed(weight, format(), 64);
      const Halves x = random_halves(99, dtype(), shape.tokens, shape.cols, 1);
      ASSERT_NO_FATAL_FAILURE(check(weight, packed, x, exact_product(weight, x), shape.tokens));
    }
}

/// On a GPU of 132 SMs: a few tiles more than it takes at a time, many, and fewer than a half; K is cut
/// within tiles, into parts of several clusters, in the middle of tiles that end within rows and tokens.
TEST_P(Prefill, TilesThatDoNotFillTheGpu) {
  struct Shape {
    std::int64_t rows, cols, tokens;
  };
  constexpr Shape shapes[] = {{67 * 128, 264, 512}, {67 * 128, 1500, 140}, {2500, 2000, 130},
                              {2050, 4100, 60},     {520, 9000, 300},      {130, 12000, 7},
                              {67 * 128, 264, 2100}};
  std::uint64_t seed = 20;
  for (const Shape& shape : shapes) {
    SCOPED_TRACE(::testing::Message()
                 << shape.rows << "x" << shape.cols << ", " << shape.tokens << " tokens");
    const Halves weight = random_weight(format(), ++seed, dtype(), shape.rows, shape.cols, 0.3);
    const PackedOnGpu packed(weight, format(), 64);
    const Halves x = random_halves(seed, dtype(), shape.tokens, shape.cols, 1);
    ASSERT_NO_FATAL_FAILURE(check(weight, packed, x, exact_product(weight, x), shape.tokens));
  }
}

/// Outputs that are NaN until they are summed up again, in tiles whose K is cut.
TEST_P(Prefill, InfAndNanWhereKIsCut) {
  constexpr std::int64_t rows = 2500, cols = 2000, tokens = 130;
  Halves weight = random_weight(format(), 50, dtype(), rows, cols, 0.3);
  for (std::int64_t r = 0; r < rows; ++r) weight.at(r, 77) = weight.at(r, 1777) = 0;
  const PackedOnGpu packed(weight, format(), 64);
  Halves x = random_halves(51, dtype(), tokens, cols, 1);
  for (std::int64_t t = 0; t < x.rows; t += 3) x.set(t, t % 2 == 0 ? 77 : 1777, t % 4 == 0 ? INFINITY : NAN);
  x.set(1, 1999, -INFINITY);
  ASSERT_NO_FATAL_FAILURE(check(weight, packed, x, exact_product(weight, x), tokens));
}

/// On a GPU of 132 SMs these take every tile that the shapes above do not: three and four panels a CTA, alone
/// and with K shared by two and four.
TEST_P(Prefill, TilesOfManyPanels) {
  struct Shape {
    std::int64_t rows, cols, tokens;
  };
  constexpr Shape shapes[] = {
      {8515, 100, 129}, {4355, 505, 129}, {1950, 1031, 129}, {12675, 1500, 66}, {6150, 4099, 66}};
  std::uint64_t seed = 30;
  for (const Shape& shape : shapes) {
    SCOPED_TRACE(::testing::Message()
                 << shape.rows << "x" << shape.cols << ", " << shape.tokens << " tokens");
    const Halves weight = random_weight(format(), ++seed, dtype(), shape.rows, shape.cols, 0.3);
    const PackedOnGpu packed(weight, format(), 64);
    const Halves x = random_halves(98, dtype(), shape.tokens, shape.cols, 1);
    ASSERT_NO_FATAL_FAILURE(check(weight, packed, x, exact_product(weight, x), shape.tokens));
  }
}

/// Few lifted columns a row tile: tiles of two and three panels, alone and with K shared, whose CTAs turn x
/// themselves; and so many tokens that a kernel in front does.
TEST_P(Prefill, FewFurtherStages) {
  if (format() != Format::two_four_overflow) GTEST_SKIP() << "the format has no further stages";
  struct Shape {
    std::int64_t rows, cols, tokens;
  };
  constexpr Shape shapes[] = {{12285, 1100, 128}, {4355, 2055, 129}, {1950, 4100, 61}, {22010, 264, 77},
                              {700, 2056, 515},   {700, 2056, 1029}, {700, 1033, 3001}};
  std::uint64_t seed = 40;
  for (const Shape& shape : shapes) {
    SCOPED_TRACE(::testing::Message()
                 << shape.rows << "x" << shape.cols << ", " << shape.tokens << " tokens");
    const Halves weight = random_weight(format(), ++seed, dtype(), shape.rows, shape.cols, 0.06);
    const PackedOnGpu packed(weight, format(), 64);
    const Halves x = random_halves(97, dtype(), shape.tokens, shape.cols, 1);
    ASSERT_NO_FATAL_FAILURE(check(weight, packed, x, exact_product(weight, x), shape.tokens));
  }
}

/// So many that pairs of CTAs share X in two_four too, with and without a second row tile for a pair.
TEST_P(Prefill, ThousandsOfTokens) {
  struct Shape {
    std::int64_t rows, cols, tokens;
  };
  for (const Shape& shape : {Shape{65, 130, 2048}, Shape{300, 1031, 4099}, Shape{160, 520, 4352}}) {
    SCOPED_TRACE(::testing::Message()
                 << shape.rows << "x" << shape.cols << ", " << shape.tokens << " tokens");
    const Halves weight = random_weight(format(), 60, dtype(), shape.rows, shape.cols, 0.4);
    const PackedOnGpu packed(weight, format(), 64);
    Halves x = random_halves(61, dtype(), shape.tokens, shape.cols, 1);
    const Halves residual = random_halves(62, dtype(), shape.tokens, shape.rows, 1);
    x.set(0, 100, INFINITY);
    x.set(shape.tokens - 1, 7, NAN);
    const std::vector<float> bias(static_cast<std::size_t>(shape.rows), 0.25f);
    const Expected expected = exact_product(weight, x);
    ASSERT_NO_FATAL_FAILURE(check(weight, packed, x, expected, shape.tokens));
    LaunchOptions options;
    options.epilogue.activation = Activation::gelu_tanh;
    options.epilogue.bias = bias;
    options.epilogue.residual = &residual;
    ASSERT_NO_FATAL_FAILURE(check(weight, packed, x, expected, shape.tokens, options));
  }
}

TEST_P(Prefill, EveryEpilogue) {
  const std::int64_t rows = 261, cols = 520, tokens = 150;
  for (const std::int64_t some_rows : {rows, std::int64_t{264}}) {
    const Halves weight = random_weight(format(), 7, dtype(), some_rows, cols, 0.4);
    const PackedOnGpu packed(weight, format(), 64);
    const Halves x = random_halves(8, dtype(), tokens, cols, 1),
                 residual = random_halves(9, dtype(), tokens, some_rows, 1);
    std::vector<float> bias(static_cast<std::size_t>(some_rows));
    for (std::size_t i = 0; i < bias.size(); ++i) bias[i] = 0.37f * static_cast<float>(i % 11) - 1.7f;
    const Expected expected = exact_product(weight, x);
    for (const Activation activation : all_activations)
      for (const bool with_bias : {false, true})
        for (const int with_residual : {0, 1, 2}) {
          SCOPED_TRACE(::testing::Message()
                       << name_of(activation) << ", bias " << with_bias << ", residual " << with_residual);
          LaunchOptions options;
          options.epilogue.activation = activation;
          if (with_bias) options.epilogue.bias = bias;
          if (with_residual > 0) options.epilogue.residual = &residual;
          options.residual_is_y = with_residual == 2;
          ASSERT_NO_FATAL_FAILURE(check(weight, packed, x, expected, tokens, options));
        }
  }
}

/// Inf and NaN in x where W is pruned contribute nothing; where it is kept they spread as they must.
TEST_P(Prefill, InfAndNanInActivations) {
  const std::int64_t rows = 200, cols = 600, tokens = 140;
  Halves weight = random_weight(format(), 10, dtype(), rows, cols, 0.3);
  for (std::int64_t r = 0; r < rows; ++r) weight.at(r, 77) = 0;  // a column that nobody keeps
  const PackedOnGpu packed(weight, format(), 64);
  Halves x = random_halves(11, dtype(), tokens, cols, 1);
  for (std::int64_t t = 0; t < x.rows; t += 3) x.set(t, 77, t % 2 == 0 ? INFINITY : NAN);
  x.set(0, 300, INFINITY);
  x.set(2, 599, NAN);
  x.set(3, 0, -INFINITY);
  ASSERT_NO_FATAL_FAILURE(check(weight, packed, x, exact_product(weight, x), tokens));
}

TEST_P(Prefill, SpecialValuesAmongWeights) {
  const std::int64_t rows = 150, cols = 333, tokens = 66;
  Halves weight = random_weight(format(), 12, dtype(), rows, cols, 0.3);
  const auto put = [&](std::int64_t r, std::uint16_t bits) {
    for (std::int64_t c = 0; c < cols; ++c)
      if (weight.at(r, c) != 0) return void(weight.at(r, c) = bits);
  };
  put(3, static_cast<std::uint16_t>(bits_from_float(INFINITY, dtype())));
  put(64, static_cast<std::uint16_t>(bits_from_float(-INFINITY, dtype())));
  put(100, static_cast<std::uint16_t>(bits_from_float(NAN, dtype())));
  put(149, 0x8000);  // −0.0 is kept: times Inf it is NaN
  const PackedOnGpu packed(weight, format(), 64);
  Halves x = random_halves(13, dtype(), tokens, cols, 1);
  for (std::int64_t c = 0; c < cols; ++c)
    if (weight.at(149, c) == 0x8000) x.set(5, c, INFINITY);
  ASSERT_NO_FATAL_FAILURE(check(weight, packed, x, exact_product(weight, x), tokens));
}

/// block_tiles at many tokens: pairs of panels, tiles for more than a round of the GPU, more than 32 block
/// columns, rows and tokens that end within a tile; Inf and NaN in x where W is pruned, in early and late
/// tiles of a CTA.
TEST_P(Prefill, PairsOfPanels) {
  if (format() != Format::block_tiles) GTEST_SKIP() << "for block_tiles";
  constexpr std::int64_t rows = 712, cols = 2568, tokens = 8200;
  std::uint64_t seed = 30;
  for (const bool blocks : {false, true}) {
    SCOPED_TRACE(blocks ? "two fifths of the blocks" : "a few weights in every block");
    Halves weight = blocks ? random_blocks(++seed, dtype(), rows, cols, 0.4)
                           : random_halves(++seed, dtype(), rows, cols, 0.01);
    for (std::int64_t r = 0; r < rows; ++r) weight.at(r, 77) = 0;  // a column that nobody keeps
    const PackedOnGpu packed(weight, format(), tokens);
    Halves x = random_halves(++seed, dtype(), tokens, cols, 1);
    ASSERT_NO_FATAL_FAILURE(check(weight, packed, x, exact_product(weight, x), tokens));
    for (std::int64_t t = 0; t < tokens; t += 700) x.set(t, 77, t % 1400 == 0 ? INFINITY : NAN);
    x.set(5, 300, INFINITY);
    x.set(tokens - 1, cols - 1, NAN);
    ASSERT_NO_FATAL_FAILURE(check(weight, packed, x, exact_product(weight, x), tokens));
  }
}

/// Small enough for compute-sanitizer's racecheck, large enough for every kernel of a format (docs/gpu.md):
/// two_four shares X from 2048 tokens on, block_tiles has one for 1.5 tiles of two panels by 256 tokens an
/// SM. column_vectors has tiles in which four warps share a panel, and tiles of one panel a warp and of two,
/// of which a CTA takes several; a third block of K for its ring to turn.
TEST_P(Prefill, Racecheck) {
  if (dtype() != DType::bf16) GTEST_SKIP() << "the same code as in bf16";
  struct Shape {
    std::int64_t rows, cols, tokens;
  };
  std::vector<Shape> shapes{{200, 300, 70}};
  if (format() == Format::two_four) shapes.push_back({160, 264, 4352});
  if (format() == Format::block_tiles) shapes.push_back({712, 264, 8200});
  if (format() == Format::column_vectors) shapes = {{200, 1600, 70}, {1088, 1600, 2944}, {1088, 1600, 4200}};
  for (const Shape& shape : shapes) {
    SCOPED_TRACE(shape.tokens);
    const Halves weight = random_weight(format(), 70, dtype(), shape.rows, shape.cols, 0.4);
    const PackedOnGpu packed(weight, format(), 64);
    const Halves x = random_halves(71, dtype(), shape.tokens, shape.cols, 1);
    LaunchOptions options;
    options.runs = 1;
    ASSERT_NO_FATAL_FAILURE(check(weight, packed, x, exact_product(weight, x), shape.tokens, options));
  }
}

INSTANTIATE_TEST_SUITE_P(Table, Prefill, ::testing::ValuesIn(rows()), name_of_row);

}  // namespace
}  // namespace cross::testing
