// Inf, NaN and −0.0: what is pruned contributes nothing, what is kept survives.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "kernels/dense/dense_product.h"
#include "runtime/run_layer.h"

namespace cross {
namespace {

using testing::Array;
using testing::Call;
using testing::exact_product;
using testing::expect_result;
using testing::make_plan;
using testing::n_m_array;
using testing::PlanRecipe;
using testing::random_array;
using testing::run_layer;
using testing::Values;

constexpr float infinity = std::numeric_limits<float>::infinity();
const float nan = std::numeric_limits<float>::quiet_NaN();

struct Way {
  std::string name;
  PlanRecipe recipe;
};

void PrintTo(const Way& way, std::ostream* out) { *out << way.name; }

std::vector<Way> ways() {
  std::vector<Way> all;
  for (const Format format :
       {Format::index8, Format::block, Format::dense_panel, Format::bitmap, Format::n_m, Format::dense})
    for (const std::string shape : {"tile", "dot"}) {
      if (shape == "dot" &&
          (format == Format::block || format == Format::dense_panel || format == Format::dense))
        continue;
      PlanRecipe recipe{.formats = {format}, .keep = 2, .group = 4, .panel_rows = 8, .shape = shape};
      recipe.reorder_rows = format != Format::dense;
      recipe.bias = true;
      all.push_back({std::string(name_of(format)) + "_" + shape, recipe});
    }
  return all;
}

class SpecialValues : public ::testing::TestWithParam<std::tuple<Way, DType>> {
 protected:
  PlanRecipe recipe() const { return std::get<0>(GetParam()).recipe; }
  DType dtype() const { return std::get<1>(GetParam()); }
  bool dense() const { return recipe().formats[0] == Format::dense; }

  /// Runs W on x and compares with float64 over the kept positions alone.
  void expect_exact(const Array& w, const Array& x, const Call& call = {}) const {
    const Plan plan = make_plan(w, recipe());
    const auto executor = make_thread_executor(2);
    Session session(plan, *executor);
    expect_result(run_layer(session, plan, x, call), exact_product(w, x), call, plan.layers[0].bias, dense());
  }
};

TEST_P(SpecialValues, a_pruned_position_contributes_nothing) {
  const Array w = n_m_array(1, dtype(), 21, 140, 2, 4, Values::ordinary);
  for (const std::int64_t tokens : {1, 9, 20})
    for (const float strange : {infinity, -infinity, nan}) {
      Array x = random_array(2, dtype(), tokens, 140, 1.0, Values::ordinary);
      // In the last token too, which a vector shares with nothing; column 139 is the last.
      x.set(0, 6, strange);
      x.set(tokens - 1, 139, strange);
      const auto exact = exact_product(w, x);
      std::size_t finite = 0;
      for (const double value : exact.value) finite += std::isfinite(value) ? 1 : 0;
      ASSERT_GT(finite, 0u);
      if (tokens < 20) {
        ASSERT_LT(finite, exact.value.size());
      }
      SCOPED_TRACE(::testing::Message() << tokens << " tokens with " << strange);
      expect_exact(w, x);
      expect_exact(w, x, {.activation = Activation::relu, .bias = false});
      if (HasFatalFailure()) return;
    }
}

TEST_P(SpecialValues, a_strange_token_late_in_a_long_call) {
  // The first tokens were stored before the strange one is seen; a residual in y must not be added twice.
  const Array w = n_m_array(1, dtype(), 9, 70, 2, 4, Values::ordinary);
  for (const std::int64_t tokens : {20, 600}) {
    Array x = random_array(2, dtype(), tokens, 70, 1.0, Values::ordinary);
    x.set(tokens - 3, 11, nan);
    const Array residual = random_array(3, dtype(), tokens, 9, 1.0, Values::ordinary);
    expect_exact(w, x, {.residual = &residual});
    expect_exact(w, x, {.residual = &residual, .residual_in_y = true});
  }
}

TEST_P(SpecialValues, kept_weights_survive) {
  Array w(dtype(), 6, 130);
  w.set(0, 4, infinity);
  w.set(1, 129, nan);
  w.set(2, 64, -0.0f);
  w.set(3, 1, infinity);
  w.set(3, 100, -infinity);
  w.set(4, 99, 1.5f);
  const Array x = random_array(2, dtype(), 5, 130, 1.0, Values::ordinary);
  expect_exact(w, x);
  // A kept −0.0 is a weight: against infinity it gives NaN, unlike its pruned neighbours.
  Array strange = x;
  strange.set(1, 64, infinity);
  ASSERT_TRUE(std::isnan(exact_product(w, strange).value[1 * 6 + 2]));
  expect_exact(w, strange);
}

TEST_P(SpecialValues, huge_and_tiny_values) {
  const Array w = n_m_array(1, dtype(), 12, 260, 2, 4, Values::wide);
  expect_exact(w, random_array(2, dtype(), 10, 260, 1.0, Values::wide));
}

TEST_P(SpecialValues, a_bias_and_a_residual_that_are_not_finite) {
  const Array w = n_m_array(1, dtype(), 5, 40, 2, 4, Values::ordinary);
  const Array x = random_array(2, dtype(), 3, 40, 1.0, Values::ordinary);
  Array residual = random_array(3, dtype(), 3, 5, 1.0, Values::ordinary);
  residual.set(1, 2, infinity);
  residual.set(2, 0, nan);
  expect_exact(w, x, {.residual = &residual});
}

INSTANTIATE_TEST_SUITE_P(Formats, SpecialValues,
                         ::testing::Combine(::testing::ValuesIn(ways()),
                                            ::testing::Values(DType::fp32, DType::bf16)),
                         [](const auto& way) {
                           return std::get<0>(way.param).name + "_" +
                                  std::string(name_of(std::get<1>(way.param)));
                         });

}  // namespace
}  // namespace cross
