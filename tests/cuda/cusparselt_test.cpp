// Plans that name cuSPARSELt, with the library and without it.
#include "cuda/cusparselt.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <optional>
#include <string>
#include <vector>

#include "cross/cuda.h"
#include "cuda/gpu_plan.h"
#include "cuda/gpu_test.h"
#include "cuda/halves.h"
#include "cuda/replay.h"
#include "refusal.h"

namespace cross::testing {
namespace {

using cuda::Session;
using cuda::Stream;

class CuSparseLtPlans : public GpuTest {
 protected:
  void SetUp() override {
    GpuTest::SetUp();
    if (IsSkipped()) return;
    if (first_gpu()->major < 9) GTEST_SKIP() << "two_four has no kernel for many tokens on this GPU";
    if (const char* now = std::getenv("CROSS_CUSPARSELT")) before_ = now;
  }
  void TearDown() override {
    if (before_)
      setenv("CROSS_CUSPARSELT", before_->c_str(), 1);
    else
      unsetenv("CROSS_CUSPARSELT");
  }

  /// Runs `plan` and compares; @return what ran.
  std::string check(const Plan& plan, const Halves& weight, std::int64_t tokens,
                    const cuda::RunArgs& args = {}, const Halves* residual = nullptr) {
    const Session session(plan);
    const Halves x = random_halves(3, weight.dtype, tokens, weight.cols, 1);
    SessionCall call(session, 0, x, weight.rows);
    if (residual != nullptr) call.set_residual(*residual);
    const Stream stream;
    call.enqueue(stream.get(), args);
    stream.wait();
    Epilogue epilogue;
    if (args.bias) epilogue.bias = plan.layers[0].bias;
    epilogue.activation = args.activation;
    epilogue.residual = residual;
    EXPECT_EQ(mismatch(exact_product(weight, x), epilogue, call.result()), "")
        << tokens << " tokens by " << session.kernel(0, tokens);
    return session.kernel(0, tokens);
  }

 private:
  std::optional<std::string> before_;
};

TEST_F(CuSparseLtPlans, RunOurKernelWithoutTheLibrary) {
  setenv("CROSS_CUSPARSELT", "off", 1);
  const Halves weight = random_two_four(1, DType::bf16, 256, 512, 0.5);
  const std::string kernel = check(
      gpu_plan(weight, {.format = Format::two_four, .tokens = {256}, .shape = "cusparselt"}), weight, 256);
  EXPECT_EQ(kernel, "two_four.sm90 prefill: CROSS_CUSPARSELT is \"off\"");
}

TEST_F(CuSparseLtPlans, RunByTheLibrary) {
  const cuda::CuSparseLt library;
  if (!library.here()) GTEST_SKIP() << library.missing();
  const Halves weight = random_two_four(1, DType::bf16, 256, 512, 0.5);
  const Plan plan =
      gpu_plan(weight, {.format = Format::two_four, .tokens = {128, 256}, .shape = "cusparselt"});
  for (const std::int64_t tokens : {128, 256, 200})
    EXPECT_EQ(check(plan, weight, tokens), "cusparselt " + library.version());
  const Halves residual = random_halves(5, DType::bf16, 256, 256, 1);
  check(plan, weight, 256, {}, &residual);
  cuda::RunArgs relu;
  relu.activation = Activation::relu;  // our own kernel
  check(plan, weight, 256, relu, &residual);
}

TEST_F(CuSparseLtPlans, RunOurKernelInFp16) {
  const Halves weight = random_two_four(1, DType::fp16, 256, 512, 0.5);
  const std::string kernel = check(
      gpu_plan(weight, {.format = Format::two_four, .tokens = {256}, .shape = "cusparselt"}), weight, 256);
  EXPECT_TRUE(kernel.starts_with("two_four.sm90 prefill: ")) << kernel;
}

TEST_F(CuSparseLtPlans, ShapesThatItDoesNotTakeAndBiases) {
  const Halves odd = random_two_four(1, DType::bf16, 250, 509, 0.5);
  check(gpu_plan(odd, {.format = Format::two_four, .tokens = {129}, .shape = "cusparselt"}), odd, 129);
  const Halves weight = random_two_four(1, DType::bf16, 256, 512, 0.5);
  check(gpu_plan(weight, {.format = Format::two_four,
                          .tokens = {256},
                          .shape = "cusparselt",
                          .bias = std::vector<float>(256, 0.25f)}),
        weight, 256);
}

TEST_F(CuSparseLtPlans, AreOfFormatTwoFour) {
  const Halves weight = random_two_four(1, DType::bf16, 256, 512, 0.5);
  const Plan plan = gpu_plan(weight, {.format = Format::delta8, .tokens = {256}, .shape = "cusparselt"});
  const std::vector<std::byte> bytes = plan.serialize();
  expect_refused<InputError>([&] { Plan::parse(bytes, "m.cross"); },
                             {"m.cross", "shape \"cusparselt\" is for format two_four"});
}

TEST_F(CuSparseLtPlans, CanBeCaptured) {
  const Halves weight = random_two_four(1, DType::bf16, 256, 512, 0.5);
  const Plan plan = gpu_plan(weight, {.format = Format::two_four, .tokens = {256}, .shape = "cusparselt"});
  const Session session(plan);
  const Halves x = random_halves(3, weight.dtype, 256, weight.cols, 1);
  SessionCall call(session, 0, x, weight.rows);
  cuda::Replay replay(2, [&](int, void* stream) { call.enqueue_only(stream); });
  EXPECT_GT(replay.us(), 0);
  EXPECT_EQ(mismatch(exact_product(weight, x), {}, call.result()), "");
}

}  // namespace
}  // namespace cross::testing
