// Tokens shared out between workers: the same results as panels shared out, and chains of two layers.
#include <gtest/gtest.h>

#include <algorithm>

#include "cross/error.h"
#include "cross/session.h"
#include "kernels/dense/dense_product.h"
#include "refusal.h"
#include "runtime/run_layer.h"
#include "support/guarded_buffer.h"

namespace cross {
namespace {

using testing::Array;
using testing::Call;
using testing::exact_product;
using testing::expect_refused;
using testing::expect_result;
using testing::GuardedBuffer;
using testing::make_plan;
using testing::n_m_array;
using testing::PlanRecipe;
using testing::Product;
using testing::random_array;
using testing::run_layer;
using testing::same_bits;
using testing::Values;

const std::vector<std::vector<Format>> mixtures = {
    {Format::index8},
    {Format::bitmap},
    {Format::index8, Format::n_m, Format::block, Format::bitmap, Format::dense_panel}};

PlanRecipe recipe_of(const std::vector<Format>& formats, bool reorder) {
  return {.formats = formats,
          .keep = 2,
          .group = 4,
          .panel_rows = 30,  // no multiple of the rows that kernels interleave
          .segment_cols = formats.size() > 1 ? 256 : 0,
          .policy = "by_token",
          .reorder_rows = reorder,
          .bias = true};
}

class ByToken : public ::testing::TestWithParam<std::tuple<std::size_t, DType, bool>> {
 protected:
  DType dtype() const { return std::get<1>(GetParam()); }
  PlanRecipe recipe() const { return recipe_of(mixtures[std::get<0>(GetParam())], std::get<2>(GetParam())); }
};

TEST_P(ByToken, is_what_sharing_out_panels_gives) {
  for (const auto& [rows, cols] : {std::pair{70, 515}, {33, 64}, {2100, 130}}) {
    const Array w = n_m_array(1, dtype(), rows, cols, 2, 4, Values::ordinary);
    PlanRecipe how = recipe();
    const Plan dealt = make_plan(w, how);
    how.policy = "paired";
    const Plan plan = make_plan(w, how);
    for (const std::int64_t tokens : {1, 128, 250}) {
      const Array x = random_array(2, dtype(), tokens, cols, 1.0, Values::ordinary);
      const Array residual = random_array(5, dtype(), tokens, rows, 1.0, Values::ordinary);
      for (const int flags : {0, 3}) {
        const Call call{.activation = (flags & 1) != 0 ? Activation::gelu : Activation::none,
                        .residual = (flags & 2) != 0 ? &residual : nullptr,
                        .residual_in_y = flags == 3};
        const auto one = make_thread_executor(1);
        Session session(plan, *one);
        const Array y = run_layer(session, plan, x, call);
        for (const int workers : {1, 2, 3}) {
          const auto executor = make_thread_executor(workers);
          Session again(dealt, *executor);
          ASSERT_TRUE(same_bits(run_layer(again, dealt, x, call), y))
              << rows << "x" << cols << ", " << tokens << " tokens, " << workers << " workers, flags "
              << flags;
        }
      }
    }
  }
}

TEST_P(ByToken, skips_pruned_positions_where_x_is_not_finite) {
  const Array w = n_m_array(1, dtype(), 40, 200, 2, 4, Values::ordinary);
  Array x = random_array(2, dtype(), 300, 200, 1.0, Values::ordinary);
  // Column 0 is pruned in some rows only; token 70 is in the second tile.
  x.set(70, 0, std::numeric_limits<float>::infinity());
  const Plan plan = make_plan(w, recipe());
  const auto executor = make_thread_executor(2);
  Session session(plan, *executor);
  expect_result(run_layer(session, plan, x), exact_product(w, x), {}, plan.layers[0].bias);
}

/// y of a chain on guarded memory.
Array run_chain(Session& session, const Plan& plan, const Array& x, Activation between,
                const Array* residual) {
  Array y(plan.dtype, x.rows(), plan.layers[1].rows);
  if (residual != nullptr) y = *residual;
  GuardedBuffer output(y.bytes().size());
  std::copy_n(y.bytes().data(), y.bytes().size(), output.data());
  const std::size_t needed = session.chain_workspace_bytes(0, 1, x.rows());
  GuardedBuffer workspace((needed + 63) / 64 * 64);
  session.run_chain(0, 1, between,
                    {.x = x.bytes().data(),
                     .y = output.data(),
                     .tokens = x.rows(),
                     .residual = residual != nullptr ? output.data() : nullptr,
                     .workspace = {workspace.data(), needed}});
  std::copy_n(output.data(), y.bytes().size(), y.bytes().data());
  return y;
}

Plan plan_of_two(const Array& up, const Array& down, const PlanRecipe& recipe) {
  Plan plan = make_plan(up, recipe);
  plan.layers.push_back(testing::make_layer(down, recipe));
  plan.layers[1].name = "second";
  return plan;
}

TEST_P(ByToken, chains_are_two_runs) {
  for (const auto& [inner, outer] : {std::pair{151, 40}, {64, 33}, {320, 65}}) {
    const Array up = n_m_array(1, dtype(), inner, 100, 2, 4, Values::ordinary);
    const Array down = n_m_array(3, dtype(), outer, inner, 2, 4, Values::ordinary);
    const Plan plan = plan_of_two(up, down, recipe());
    const auto executor = make_thread_executor(2);
    Session session(plan, *executor);
    for (const std::int64_t tokens : {0, 5, 128, 250}) {
      const Array x = random_array(2, dtype(), tokens, 100, 1.0, Values::ordinary);
      const Array residual = random_array(5, dtype(), tokens, outer, 1.0, Values::ordinary);
      for (const Activation between : all_activations) {
        const Array middle = run_layer(session, plan, x, {.activation = between});
        const Call last{.residual = &residual, .layer = 1};
        ASSERT_TRUE(same_bits(run_chain(session, plan, x, between, &residual),
                              run_layer(session, plan, middle, last)))
            << inner << " between, " << tokens << " tokens, " << name_of(between);
      }
    }
  }
}

TEST_P(ByToken, chains_keep_to_kept_positions_where_what_stands_between_is_not_finite) {
  const Array up = n_m_array(1, dtype(), 60, 100, 2, 4, Values::ordinary);
  const Array down = n_m_array(3, dtype(), 40, 60, 2, 4, Values::ordinary);
  const Plan plan = plan_of_two(up, down, recipe());
  const auto executor = make_thread_executor(2);
  Session session(plan, *executor);
  Array x = random_array(2, dtype(), 140, 100, 1.0, Values::ordinary);
  x.set(3, 7, std::numeric_limits<float>::infinity());
  const Array middle = run_layer(session, plan, x, {.activation = Activation::none});
  const Array y = run_chain(session, plan, x, Activation::none, nullptr);
  const Array expected = run_layer(session, plan, middle, {.layer = 1});
  for (std::int64_t t = 0; t < y.rows(); ++t)
    for (std::int64_t r = 0; r < y.cols(); ++r) {
      const float a = y.at(t, r), b = expected.at(t, r);
      if (std::isfinite(b))
        ASSERT_NEAR(a, b, 0.05f * (1 + std::abs(b))) << t << ", " << r;
      else
        ASSERT_TRUE(std::isnan(b) ? std::isnan(a) : a == b) << t << ", " << r;
    }
}

INSTANTIATE_TEST_SUITE_P(Formats, ByToken,
                         ::testing::Combine(::testing::Values(0, 1, 2),
                                            ::testing::Values(DType::fp32, DType::bf16), ::testing::Bool()));

TEST(Chain, runs_through_a_dense_library_too) {
  const Array up = random_array(1, DType::fp32, 50, 30, 0.5, Values::ordinary);
  const Array down = random_array(3, DType::fp32, 20, 50, 0.5, Values::ordinary);
  const Plan plan = plan_of_two(up, down, {.formats = {Format::dense}});
  const auto executor = make_openmp_executor(1);
  Session session(plan, *executor);
  const Array x = random_array(2, DType::fp32, 64, 30, 1.0, Values::ordinary);
  const Array middle = run_layer(session, plan, x, {.activation = Activation::relu});
  EXPECT_TRUE(same_bits(run_chain(session, plan, x, Activation::relu, nullptr),
                        run_layer(session, plan, middle, {.layer = 1})));
}

TEST(Chain, refuses_layers_that_do_not_fit) {
  const Array up = random_array(1, DType::fp32, 50, 30, 0.5, Values::ordinary);
  const Array down = random_array(3, DType::fp32, 20, 49, 0.5, Values::ordinary);
  const Plan plan = plan_of_two(up, down, {});
  const auto executor = make_thread_executor(1);
  Session session(plan, *executor);
  expect_refused<UsageError>([&] { session.run_chain(0, 1, Activation::none, {.tokens = 1}); },
                             {"layer \"layer\" gives 50 values a token", "layer \"second\" takes 49"});
  expect_refused<UsageError>([&] { session.run_chain(0, 2, Activation::none, {.tokens = 1}); },
                             {"layer 2 does not exist"});
}

TEST(Chain, refuses_a_workspace_that_is_too_small) {
  const Array up = random_array(1, DType::fp32, 50, 30, 0.5, Values::ordinary);
  const Array down = random_array(3, DType::fp32, 20, 50, 0.5, Values::ordinary);
  for (const std::string policy : {"paired", "by_token"}) {
    const Plan plan = plan_of_two(up, down, {.policy = policy});
    const auto executor = make_thread_executor(1);
    Session session(plan, *executor);
    const std::size_t needed = session.chain_workspace_bytes(0, 1, 64);
    GuardedBuffer workspace((needed + 63) / 64 * 64);
    const std::vector<float> x(64 * 30, 1.0f);
    std::vector<float> y(64 * 20, 7.0f);
    expect_refused<UsageError>(
        [&] {
          session.run_chain(
              0, 1, Activation::none,
              {.x = x.data(), .y = y.data(), .tokens = 64, .workspace = {workspace.data(), needed - 1}});
        },
        {"workspace has " + std::to_string(needed - 1) + " bytes"});
    EXPECT_EQ(y, std::vector<float>(64 * 20, 7.0f));
  }
}

}  // namespace
}  // namespace cross
