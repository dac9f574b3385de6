// What a session computes, over formats, shapes, token counts, epilogues and workers.
#include "cross/session.h"

#include <gtest/gtest.h>

#include <thread>

#include "kernels/dense/dense_product.h"
#include "runtime/run_layer.h"

namespace cross {
namespace {

using testing::Array;
using testing::Call;
using testing::exact_product;
using testing::expect_result;
using testing::first_tokens;
using testing::make_plan;
using testing::n_m_array;
using testing::PlanRecipe;
using testing::Product;
using testing::random_array;
using testing::run_layer;
using testing::same_bits;
using testing::Values;

constexpr std::int64_t token_counts[] = {0, 1, 2, 5, 8, 9, 16, 40, 64, 65, 128, 200, 513, 1100};

struct Way {
  std::string name;
  PlanRecipe recipe;
};

void PrintTo(const Way& way, std::ostream* out) { *out << way.name; }

/// Every format by itself, in both shapes where it has two, and mixtures within a panel.
std::vector<Way> ways() {
  std::vector<Way> all;
  const auto add = [&](const std::string& name, const std::vector<Format>& formats, const std::string& shape,
                       std::int64_t segment_cols) {
    all.push_back({name,
                   {.formats = formats,
                    .keep = 2,
                    .group = 4,
                    .panel_rows = 16,
                    .segment_cols = segment_cols,
                    .shape = shape}});
  };
  add("index8", {Format::index8}, "tile", 0);
  add("index8_dot", {Format::index8}, "dot", 0);
  add("block", {Format::block}, "tile", 0);
  add("dense_panel", {Format::dense_panel}, "tile", 0);
  add("bitmap_tile", {Format::bitmap}, "tile", 0);
  add("bitmap_dot", {Format::bitmap}, "dot", 0);
  add("n_m_tile", {Format::n_m}, "tile", 0);
  add("n_m_dot", {Format::n_m}, "dot", 0);
  add("mixed_tile", {Format::index8, Format::n_m, Format::block, Format::bitmap, Format::dense_panel}, "tile",
      256);
  add("mixed_dot", {Format::bitmap, Format::n_m, Format::index8}, "dot", 256);
  for (const auto library : kernels::dense_libraries()) {
    Way way{"dense_" + std::string(name_of(library)), {.formats = {Format::dense}}};
    way.recipe.library = name_of(library);
    all.push_back(way);
  }
  return all;
}

class EveryWay : public ::testing::TestWithParam<std::tuple<Way, DType>> {
 protected:
  PlanRecipe recipe() const { return std::get<0>(GetParam()).recipe; }
  DType dtype() const { return std::get<1>(GetParam()); }
  bool dense() const { return recipe().formats[0] == Format::dense; }
  /// Mixtures get regions without a kept value: columns [256, 512) of all rows and rows 16 … 31.
  Array weight(std::int64_t rows, std::int64_t cols) const {
    Array w = n_m_array(1, dtype(), rows, cols, 2, 4, Values::ordinary);
    if (recipe().formats.size() == 1) return w;
    for (std::int64_t r = 0; r < rows; ++r)
      for (std::int64_t c = 0; c < cols; ++c)
        if (c / 256 == 1 || r / 16 == 1) w.set(r, c, 0.0f);
    return w;
  }
};

std::string name_of_way(const ::testing::TestParamInfo<std::tuple<Way, DType>>& info) {
  return std::get<0>(info.param).name + "_" + std::string(name_of(std::get<1>(info.param)));
}

TEST_P(EveryWay, serves_every_token_count) {
  const Array w = weight(45, 901);
  const Array x = random_array(2, dtype(), 1100, 901, 1.0, Values::ordinary);
  const Product exact = exact_product(w, x);
  PlanRecipe how = recipe();
  how.bias = true;
  how.item_tokens = 40;
  const Plan plan = make_plan(w, how);
  const auto executor = make_thread_executor(2);
  Session session(plan, *executor);
  for (const std::int64_t tokens : token_counts) {
    SCOPED_TRACE(::testing::Message() << tokens << " tokens");
    const Array y = run_layer(session, plan, first_tokens(x, tokens));
    expect_result(y, exact, {}, plan.layers[0].bias, dense());
    if (HasFatalFailure()) return;
  }
}

TEST_P(EveryWay, serves_every_shape) {
  for (const auto& [rows, cols] : {std::pair{1, 1},
                                   {1, 300},
                                   {300, 1},
                                   {2, 2},
                                   {3, 127},
                                   {16, 128},
                                   {17, 129},
                                   {31, 257},
                                   {33, 64},
                                   {64, 512},
                                   {67, 383}})
    for (const bool reorder : {false, true}) {
      PlanRecipe how = recipe();
      how.reorder_rows = reorder;
      const Array w = weight(rows, cols);
      const Plan plan = make_plan(w, how);
      const Array x = random_array(3, dtype(), 7, cols, 1.0, Values::ordinary);
      SCOPED_TRACE(::testing::Message() << rows << "x" << cols << ", reordered " << reorder);
      const auto executor = make_thread_executor(2);
      Session session(plan, *executor);
      expect_result(run_layer(session, plan, x), exact_product(w, x), {}, {}, dense());
      if (HasFatalFailure()) return;
    }
}

TEST_P(EveryWay, applies_every_epilogue) {
  PlanRecipe how = recipe();
  how.bias = true;
  const Array w = weight(37, 300);
  const Plan plan = make_plan(w, how);
  const auto executor = make_thread_executor(3);
  Session session(plan, *executor);
  for (const std::int64_t tokens : {1, 11}) {
    const Array x = random_array(4, dtype(), tokens, 300, 1.0, Values::ordinary);
    const Array residual = random_array(5, dtype(), tokens, 37, 1.0, Values::ordinary);
    const Product exact = exact_product(w, x);
    for (const Activation activation : all_activations)
      for (const bool bias : {false, true})
        for (const int with_residual : {0, 1, 2}) {
          const Call call{.activation = activation,
                          .residual = with_residual > 0 ? &residual : nullptr,
                          .bias = bias,
                          .residual_in_y = with_residual == 2};
          SCOPED_TRACE(::testing::Message() << name_of(activation) << ", bias " << bias << ", residual "
                                            << with_residual << ", " << tokens << " tokens");
          expect_result(run_layer(session, plan, x, call), exact, call, plan.layers[0].bias, dense());
          if (HasFatalFailure()) return;
        }
  }
}

TEST_P(EveryWay, is_the_same_whoever_runs_it) {
  // Bit for bit: no worker count, executor, schedule or repetition changes a result.
  if (dense()) return;  // the libraries keep their own promises
  const Array w = weight(70, 515);
  const Array x = random_array(6, dtype(), 150, 515, 1.0, Values::ordinary);
  PlanRecipe how = recipe();
  how.item_tokens = 64;
  const Plan plan = make_plan(w, how);
  const auto one = make_thread_executor(1);
  Session session(plan, *one);
  const Array y = run_layer(session, plan, x);
  for (const int planned : {1, 2, 3, 7}) {
    how.workers = planned;
    how.scheduled_items = planned;
    const Plan other = make_plan(w, how);
    for (const int workers : {1, 2, 3, 5})
      for (const bool openmp : {false, true}) {
        const auto executor = openmp ? make_openmp_executor(workers) : make_thread_executor(workers);
        Session again(other, *executor);
        ASSERT_TRUE(same_bits(run_layer(again, other, x), y))
            << planned << " planned workers on " << workers << ", openmp " << openmp;
      }
  }
}

INSTANTIATE_TEST_SUITE_P(Formats, EveryWay,
                         ::testing::Combine(::testing::ValuesIn(ways()),
                                            ::testing::Values(DType::fp32, DType::bf16)),
                         name_of_way);

/// Two threads that take turns: an executor need not be a pool.
class CallersThreads final : public Executor {
 public:
  int workers() const override { return 2; }
  void run(const std::function<void(int)>& task) override {
    ++calls;
    std::thread second([&] { task(1); });
    task(0);
    second.join();
  }
  int calls = 0;
};

TEST(Session, runs_on_the_callers_threads) {
  const Array w = random_array(1, DType::fp32, 50, 200, 0.4, Values::ordinary);
  const Array x = random_array(2, DType::fp32, 9, 200, 1.0, Values::ordinary);
  const Plan plan = make_plan(w, {});
  CallersThreads threads;
  Session session(plan, threads);
  expect_result(run_layer(session, plan, x), exact_product(w, x), {}, {});
  EXPECT_GT(threads.calls, 0);
}

TEST(Session, runs_the_layers_and_variants_of_a_plan) {
  // Layer 0: bitmap dot up to 4 tokens, dense above; layer 1 is another shape. Sessions may be moved.
  const Array w = random_array(1, DType::fp32, 20, 100, 0.4, Values::ordinary);
  const Array v = random_array(2, DType::fp32, 33, 20, 0.4, Values::ordinary);
  Plan plan = make_plan(w, {.formats = {Format::bitmap}, .shape = "dot", .bias = true, .tokens = 4});
  const LayerPlan dense = testing::make_layer(w, {.formats = {Format::dense}, .tokens = 64});
  plan.layers[0].packings.push_back(dense.packings[0]);
  plan.layers[0].variants.push_back(dense.variants[0]);
  plan.layers[0].variants[1].packing = 1;
  plan.layers.push_back(testing::make_layer(v, {}));
  plan.layers[1].name = "second";
  const auto executor = make_thread_executor(2);
  Session made(plan, *executor);
  Session session(std::move(made));
  for (const std::int64_t tokens : {1, 4, 5, 64, 70, 4, 1}) {
    const Array x = random_array(3, DType::fp32, tokens, 100, 1.0, Values::ordinary);
    expect_result(run_layer(session, plan, x), exact_product(w, x), {}, plan.layers[0].bias);
    const Array z = random_array(4, DType::fp32, tokens, 20, 1.0, Values::ordinary);
    expect_result(run_layer(session, plan, z, {.layer = 1}), exact_product(v, z), {.layer = 1}, {});
  }
}

TEST(Session, measures_its_workers_when_asked) {
  const Array w = random_array(1, DType::fp32, 400, 400, 0.5, Values::ordinary);
  const Array x = random_array(2, DType::fp32, 64, 400, 1.0, Values::ordinary);
  for (const std::string shape : {"tile", "dot"}) {
    const Plan plan = make_plan(w, {.formats = {Format::bitmap}, .shape = shape});
    const auto executor = make_thread_executor(2);
    Session session(plan, *executor);
    ASSERT_EQ(session.worker_seconds().size(), 2u);
    run_layer(session, plan, x);
    EXPECT_EQ(session.worker_seconds()[0], 0.0);
    session.measure_workers(true);
    run_layer(session, plan, x);
    EXPECT_GT(session.worker_seconds()[0], 0.0);
    EXPECT_GT(session.worker_seconds()[1], 0.0);
    EXPECT_LT(session.worker_seconds()[0], 10.0);
  }
}

TEST(Session, shows_the_weights_that_it_reads) {
  const Array w = random_array(1, DType::bf16, 40, 400, 0.5, Values::ordinary);
  const Plan packed = make_plan(w, {});
  const Plan dense = make_plan(w, {.formats = {Format::dense}});
  const auto executor = make_thread_executor(1);
  EXPECT_EQ(Session(packed, *executor).weights(0, 8).data(), packed.layers[0].packings[0].data.bytes.data());
  Session session(dense, *executor);
  EXPECT_GE(session.weights(0, 8).size(), std::size_t{40} * 400 * 2);
}

}  // namespace
}  // namespace cross
