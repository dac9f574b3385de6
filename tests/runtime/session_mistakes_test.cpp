// Calls that cannot work are refused before anything is read or written.
#include <gtest/gtest.h>

#include <cstdlib>

#include "cross/error.h"
#include "cross/session.h"
#include "refusal.h"
#include "runtime/run_layer.h"
#include "support/guarded_buffer.h"

namespace cross {
namespace {

using testing::Array;
using testing::expect_refused;
using testing::make_plan;
using testing::random_array;
using testing::Values;

class SessionMistakes : public ::testing::Test {
 protected:
  Array w = random_array(1, DType::fp32, 20, 100, 0.4, Values::ordinary);
  Plan plan = make_plan(w, {});
  std::unique_ptr<Executor> executor = make_thread_executor(2);
  Session session{plan, *executor};
  std::vector<float> x = std::vector<float>(500, 1.0f);
  std::vector<float> y = std::vector<float>(100, 7.0f);
  std::size_t needed = session.workspace_bytes(0, 5);
  testing::GuardedBuffer workspace{(needed + 127) / 64 * 64};

  RunArgs args(std::span<std::byte> scratch, std::int64_t tokens = 5) {
    return {.x = x.data(), .y = y.data(), .tokens = tokens, .workspace = scratch};
  }
  void expect_nothing_written() { EXPECT_EQ(y, std::vector<float>(100, 7.0f)); }
};

TEST_F(SessionMistakes, a_workspace_that_is_too_small) {
  expect_refused<UsageError>(
      [&] {
        session.run(0, args({workspace.data(), needed - 1}));
      },
      {"workspace has " + std::to_string(needed - 1) + " bytes", "needs " + std::to_string(needed),
       "aligned to 64"});
  expect_refused<UsageError>([&] { session.run(0, args({})); }, {"workspace has 0 bytes"});
  expect_nothing_written();
  session.run(0, args({workspace.data(), needed}));
}

TEST_F(SessionMistakes, a_workspace_that_is_not_aligned) {
  for (const std::size_t shift : {1, 4, 32})
    expect_refused<UsageError>(
        [&] {
          session.run(0, args({workspace.data() + shift, needed}));
        },
        {"aligned to 64"});
  expect_nothing_written();
}

TEST_F(SessionMistakes, a_layer_that_does_not_exist) {
  expect_refused<UsageError>(
      [&] {
        session.run(1, args({workspace.data(), needed}));
      },
      {"the plan has 1 layers; layer 1 does not exist"});
  expect_refused<UsageError>([&] { session.workspace_bytes(7, 1); }, {"layer 7 does not exist"});
  expect_refused<UsageError>([&] { session.weights(7, 1); }, {"layer 7 does not exist"});
  expect_nothing_written();
}

TEST_F(SessionMistakes, a_negative_count_of_tokens) {
  expect_refused<UsageError>([&] { session.run(0, args({workspace.data(), needed}, -1)); }, {"tokens is -1"});
  EXPECT_EQ(session.workspace_bytes(0, 0), 0u);
  EXPECT_EQ(session.workspace_bytes(0, -5), 0u);
}

TEST_F(SessionMistakes, no_tokens_need_nothing) {
  session.run(0, {.tokens = 0});
  expect_nothing_written();
}

TEST(SessionDevice, a_plan_for_another_cpu_is_a_device_error) {
  const Array w = random_array(1, DType::bf16, 4, 4, 1.0, Values::ordinary);
  Plan plan = make_plan(w, {});
  plan.layers[0].packings[0].arithmetic = PlanArithmetic::bf16_pair;
  const auto executor = make_thread_executor(1);
  ::setenv("CROSS_ISA", "scalar", 1);
  expect_refused<DeviceError>([&] { Session(plan, *executor); },
                              {"layer \"layer\"", "AVX512_BF16", "scalar"});
  ::unsetenv("CROSS_ISA");
}

TEST(SessionDevice, a_lower_instruction_set_gives_the_same_within_tolerance) {
  // A plan that was packed here runs with CROSS_ISA=scalar too, unless it needs AVX512_BF16.
  const Array w = random_array(1, DType::fp32, 40, 300, 0.4, Values::ordinary);
  const Array x = random_array(2, DType::fp32, 19, 300, 1.0, Values::ordinary);
  const Plan plan = make_plan(w, {.formats = {Format::index8, Format::bitmap}, .segment_cols = 128});
  const auto executor = make_thread_executor(2);
  ::setenv("CROSS_ISA", "scalar", 1);
  Session session(plan, *executor);
  testing::expect_result(testing::run_layer(session, plan, x), testing::exact_product(w, x), {}, {});
  ::unsetenv("CROSS_ISA");
}

}  // namespace
}  // namespace cross
