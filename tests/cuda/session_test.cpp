// Sessions on a GPU: every way a layer can run, streams, graphs, memory.
#include <gtest/gtest.h>

#include <cmath>
#include <thread>

#include "cross/error.h"
#include "cuda/chain.h"
#include "cuda/gpu_plan.h"
#include "cuda/gpu_test.h"
#include "cuda/layer.h"
#include "cuda/replay.h"
#include "kernels/cuda/gpu_kernel.h"
#include "plan/formats/gpu/packed.h"
#include "refusal.h"

namespace cross::testing {
namespace {

using cuda::Session;
using cuda::Stream;

/// Formats of 16-bit values with a kernel for this GPU.
std::vector<Format> formats_here() {
  std::vector<Format> all;
  for (const Format format : gpu_formats)
    if (formats::gpu::holds(format, DType::bf16) &&
        kernels::cuda::gpu_kernel_for(format, first_gpu()->major, first_gpu()->minor) != nullptr)
      all.push_back(format);
  return all;
}

std::vector<float> some_bias(std::int64_t rows, bool exact) {
  std::vector<float> bias(static_cast<std::size_t>(rows));
  for (std::size_t i = 0; i < bias.size(); ++i)
    bias[i] = exact ? 0.25f * static_cast<float>(i % 9) - 1 : 0.123456f * static_cast<float>(i % 9) - 0.4f;
  return bias;
}

class Sessions : public GpuTest {
 protected:
  /// Runs a plan of one layer at `tokens` and compares.
  void check(const Plan& plan, const Halves& weight, std::int64_t tokens) {
    const Session session(plan);
    const Halves x = random_halves(3, weight.dtype, tokens, weight.cols, 1);
    SessionCall call(session, 0, x, weight.rows);
    const Stream stream;
    call.enqueue(stream.get());
    stream.wait();
    Epilogue epilogue;
    epilogue.bias = plan.layers[0].bias;
    EXPECT_EQ(mismatch(exact_product(weight, x), epilogue, call.result()), "")
        << tokens << " tokens by " << session.kernel(0, tokens);
  }
};

TEST_F(Sessions, DenseThroughTheLibrary) {
  for (const DType dtype : {DType::bf16, DType::fp16})
    for (const auto& [rows, cols] :
         {std::pair<int, int>{256, 512}, {1, 1}, {7, 13}, {1000, 333}, {129, 1031}}) {
      const Halves weight = random_halves(1, dtype, rows, cols, 0.5);
      for (const std::int64_t tokens : {1, 3, 8, 100}) {
        SCOPED_TRACE(::testing::Message() << name_of(dtype) << " " << rows << "x" << cols);
        check(gpu_plan(weight, {.tokens = {tokens}}), weight, tokens);
      }
    }
}

/// All epilogues of the library path, those that it does itself and those that our kernel finishes.
TEST_F(Sessions, DenseEpilogues) {
  for (const DType dtype : {DType::bf16, DType::fp16})
    for (const bool exact : {true, false}) {
      const Halves weight = random_halves(1, dtype, 200, 264, 0.5);
      const Plan plan = gpu_plan(weight, {.tokens = {8}, .bias = some_bias(200, exact)});
      const Session session(plan);
      for (const std::int64_t tokens : {1, 8, 17}) {
        const Halves x = random_halves(3, dtype, tokens, 264, 1),
                     residual = random_halves(4, dtype, tokens, 200, 1);
        const Expected expected = exact_product(weight, x);
        const Stream stream;
        for (const bool with_residual : {false, true}) {
          SessionCall call(session, 0, x, 200);
          if (with_residual) call.set_residual(residual);
          for (const Activation activation : all_activations)
            for (const bool with_bias : {false, true}) {
              SCOPED_TRACE(::testing::Message() << name_of(dtype) << ", " << tokens << " tokens, "
                                                << name_of(activation) << ", bias " << with_bias
                                                << (exact ? " exact" : "") << ", residual " << with_residual);
              cuda::RunArgs args;
              args.activation = activation;
              args.bias = with_bias;
              call.enqueue(stream.get(), args);
              stream.wait();
              Epilogue epilogue;
              if (with_bias) epilogue.bias = plan.layers[0].bias;
              if (with_residual) epilogue.residual = &residual;
              epilogue.activation = activation;
              EXPECT_EQ(mismatch(expected, epilogue, call.result()), "");
            }
        }
      }
    }
}

/// NaN is no negative number: relu keeps it, whoever computes it.
TEST_F(Sessions, ReluKeepsNan) {
  Halves weight = random_halves(1, DType::bf16, 64, 64, 1);
  weight.set(5, 5, NAN);
  const Plan plan = gpu_plan(weight, {.tokens = {8}});
  const Session session(plan);
  const Halves x = random_halves(3, DType::bf16, 8, 64, 1);
  SessionCall call(session, 0, x, 64);
  const Stream stream;
  cuda::RunArgs args;
  args.activation = Activation::relu;
  call.enqueue(stream.get(), args);
  stream.wait();
  EXPECT_TRUE(std::isnan(call.result().value(0, 5)));
}

TEST_F(Sessions, EveryFormatAtEveryTokenCount) {
  for (const Format format : formats_here())
    for (const DType dtype : {DType::bf16, DType::fp16})
      for (const char* shape : {"decode", "prefill", "expand"}) {
        const Halves weight = random_weight(format, 2, dtype, 321, 1030, 0.3);
        const Plan plan = gpu_plan(
            weight,
            {.format = format, .tokens = {1, 8, 40, 65, 200}, .shape = shape, .bias = some_bias(321, false)});
        for (const std::int64_t tokens : {1, 8, 30, 40, 65, 200, 300}) {
          SCOPED_TRACE(::testing::Message() << name_of(format) << " " << shape);
          check(plan, weight, tokens);
        }
      }
}

/// Counts that no variant names run in the way that is fastest there, whatever the next variant's shape.
TEST_F(Sessions, CountsThatAPlanDoesNotName) {
  if (first_gpu()->major != 9) GTEST_SKIP() << "kernels for many tokens are for Hopper";
  struct Case {
    Format format;
    std::int64_t rows, cols;
    std::int64_t decode_to, prefill_to;  ///< the last counts that decode, and that run by prefill
  };
  constexpr std::int64_t far = 5000;
  for (const Case& c :
       {Case{Format::two_four, 512, 512, 16, far}, Case{Format::two_four, 256, 1024, 32, far},
        Case{Format::bitmap_planes, 512, 512, 64, 2048}, Case{Format::delta8, 512, 512, 16, 16}}) {
    const Halves weight = random_weight(c.format, 2, DType::bf16, c.rows, c.cols, 0.3);
    const std::string id = std::string(name_of(c.format)) + ".sm90";
    const std::string expanded = "expand " + std::string(name_of(c.format)) + ", cublaslt";
    for (const char* shape : {"decode", "prefill", "expand"}) {
      const Plan plan = gpu_plan(weight, {.format = c.format, .tokens = {7, 1024}, .shape = shape});
      const Session session(plan);
      for (const std::int64_t tokens : {1, 15, 16, 17, 32, 33, 64, 65, 128, 2048, 2049, 4096}) {
        const std::string expected = tokens <= c.decode_to    ? id
                                     : tokens <= c.prefill_to ? id + " prefill"
                                                              : expanded;
        EXPECT_EQ(session.kernel(0, tokens), expected) << shape << " at " << tokens << " tokens";
      }
      const bool as_named = c.prefill_to > c.decode_to && shape == std::string("prefill");
      EXPECT_EQ(session.kernel(0, 1024), as_named ? id + " prefill" : expanded);
    }
  }
}

/// More counts than a layer keeps products of the library for: those that come again are as good as new ones.
TEST_F(Sessions, DenseAtManyTokenCounts) {
  const Halves weight = random_halves(1, DType::bf16, 48, 64, 0.5);
  const Plan plan = gpu_plan(weight, {.tokens = {8}});
  const Session session(plan);
  const Halves x = random_halves(3, DType::bf16, 300, 64, 1);
  const Expected expected = exact_product(weight, x);
  SessionCall call(session, 0, x, 48);
  const Stream stream;
  for (int round = 0; round < 2; ++round) {
    for (std::int64_t tokens = 1; tokens <= 300; ++tokens) session.prepare(0, {.tokens = tokens});
    call.enqueue(stream.get());
    stream.wait();
    EXPECT_EQ(mismatch(expected, {}, call.result()), "");
  }
}

/// More counts than a layer remembers, by several threads: every answer is that of a session of its own.
TEST_F(Sessions, ManyTokenCountsAtOnce) {
  const Halves weight = random_weight(Format::bitmap_planes, 2, DType::bf16, 320, 512, 0.3);
  const Plan plan = gpu_plan(weight, {.format = Format::bitmap_planes, .tokens = {8}});
  const Session session(plan);
  std::vector<std::size_t> bytes;
  for (std::int64_t tokens = 0; tokens < 300; ++tokens) bytes.push_back(session.workspace_bytes(0, tokens));
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&, t, device = gpu().index] {
      const cuda::CurrentDevice current(device);
      for (std::size_t i = 0; i < 2000; ++i) {
        const std::size_t tokens = (i * static_cast<std::size_t>(2 * t + 1)) % bytes.size();
        ASSERT_EQ(session.workspace_bytes(0, static_cast<std::int64_t>(tokens)), bytes[tokens]);
      }
    });
  for (std::thread& thread : threads) thread.join();
}

TEST_F(Sessions, NoTokensIsNoWork) {
  const Halves weight = random_halves(1, DType::bf16, 16, 16, 1);
  const Plan plan = gpu_plan(weight, {});
  const Session session(plan);
  const Stream stream;
  EXPECT_NO_THROW(session.run(0, {}, stream.get()));
}

TEST_F(Sessions, RefusesWhatDoesNotFit) {
  const Halves weight = random_halves(1, DType::bf16, 64, 64, 1);
  const Plan plan = gpu_plan(weight, {});
  const Session session(plan);
  const Stream stream;
  const cuda::DeviceBuffer memory(1 << 20, "a test");
  cuda::RunArgs args;
  args.x = memory.data();
  args.y = memory.data() + 65536;
  args.tokens = 8;
  args.workspace = memory.data() + 131072;
  args.workspace_bytes = 256;
  expect_refused<UsageError>([&] { session.run(0, args, stream.get()); }, {"256 bytes", "needs"});
  expect_refused<UsageError>([&] { session.run(1, args, stream.get()); }, {"layer 1"});
  args.x = memory.data() + 2;
  expect_refused<UsageError>([&] { session.run(0, args, stream.get()); }, {"16 bytes"});
  args.tokens = -1;
  expect_refused<UsageError>([&] { session.run(0, args, stream.get()); }, {"-1"});
}

TEST_F(Sessions, SeveralStreamsAndPlansAtOnce) {
  struct One {
    Halves weight, x;
    Plan plan;
    std::unique_ptr<Session> session;
    std::unique_ptr<SessionCall> call;
    std::unique_ptr<Stream> stream = std::make_unique<Stream>();
    One(Format format, std::uint64_t seed)
        : weight(random_weight(format, seed, DType::bf16, 1500, 2048, 0.3)),
          x(random_halves(seed + 50, DType::bf16, 8, 2048, 1)),
          plan(gpu_plan(weight, {.format = format})),
          session(std::make_unique<Session>(plan)),
          call(std::make_unique<SessionCall>(*session, 0, x, 1500)) {}
  };
  std::vector<std::unique_ptr<One>> all;
  std::vector<Format> formats = formats_here();
  formats.push_back(Format::dense);
  for (std::uint64_t i = 0; i < 12; ++i) all.push_back(std::make_unique<One>(formats[i % formats.size()], i));
  for (const auto& one : all) one->call->enqueue(one->stream->get());
  for (const auto& one : all) one->stream->wait();
  std::vector<std::thread> threads;
  for (const auto& one : all)
    threads.emplace_back([&one, device = gpu().index] {
      const cuda::CurrentDevice current(device);
      for (int i = 0; i < 100; ++i) one->call->enqueue_only(one->stream->get());
    });
  for (auto& thread : threads) thread.join();
  for (const auto& one : all) {
    one->stream->wait();
    EXPECT_EQ(mismatch(exact_product(one->weight, one->x), {}, one->call->result()), "")
        << one->session->kernel(0, 8);
  }
}

TEST_F(Sessions, CapturedRunsEqualEagerOnes) {
  for (const Format format : formats_here())
    for (const std::int64_t tokens : {1, 8, 100}) {
      SCOPED_TRACE(::testing::Message() << name_of(format) << ", " << tokens << " tokens");
      const Halves weight = random_weight(format, 2, DType::bf16, 700, 2048, 0.3);
      const Halves x = random_halves(3, DType::bf16, tokens, 2048, 1);
      const Plan plan = gpu_plan(weight, {.format = format, .tokens = {8}});
      const Session session(plan);
      SessionCall captured(session, 0, x, 700), eager(session, 0, x, 700);
      session.prepare(0, {.tokens = tokens});
      cuda::Replay replay(
          3, [&](int, void* stream) { captured.enqueue_only(stream); }, /*warm=*/false);
      replay.us();
      const Stream stream;
      eager.enqueue(stream.get());
      stream.wait();
      EXPECT_EQ(captured.result().bits, eager.result().bits);
      EXPECT_EQ(mismatch(exact_product(weight, x), {}, captured.result()), "");
    }
}

/// With programmatic dependent launch.
TEST_F(Sessions, OverlappedChainsGiveTheSameBits) {
  for (const Format format : formats_here())
    for (const std::int64_t tokens : {1, 8, 24}) {
      SCOPED_TRACE(::testing::Message() << name_of(format) << ", " << tokens << " tokens");
      const std::int64_t extent = 1024;
      const Halves weight = random_weight(format, 4, DType::bf16, extent, extent, 0.2);
      const Plan plan = gpu_plan(weight, {.format = format, .tokens = {tokens}});
      const Session session(plan);
      const Halves x = random_halves(5, DType::bf16, tokens, extent, 1);
      expect_same_bits_overlapped(session, {tokens, x.bytes(), 8, 20});
    }
}

TEST_F(Sessions, RunAllocatesNothing) {
  std::vector<Format> formats = formats_here();
  formats.push_back(Format::dense);
  for (const Format format : formats)
    for (const std::int64_t tokens : {1, 8, 100}) {
      const Halves weight = random_weight(format, 2, DType::bf16, 700, 2048, 0.3);
      const Halves x = random_halves(3, DType::bf16, tokens, 2048, 1);
      const Plan plan = gpu_plan(weight, {.format = format, .tokens = {tokens}});
      const Session session(plan);
      SessionCall call(session, 0, x, 700);
      const Stream stream;
      call.enqueue_only(stream.get());  // loads the kernels' code
      stream.wait();
      const std::size_t before = cuda::free_bytes();
      for (int i = 0; i < 50; ++i) call.enqueue_only(stream.get());
      stream.wait();
      EXPECT_EQ(cuda::free_bytes(), before) << name_of(format) << ", " << tokens << " tokens";
    }
}

TEST_F(Sessions, OutOfMemoryLeavesNothingBehind) {
  const Halves weight = random_halves(1, DType::bf16, 4096, 4096, 1);
  Plan plan = gpu_plan(weight, {});
  { const Session warm(plan); }  // what CUDA and cuBLASLt keep for themselves
  for (int i = 0; i < 31; ++i) plan.layers.push_back(plan.layers[0]);  // 1 GiB, on the host once
  const std::size_t before = cuda::free_bytes();
  {
    const cuda::DeviceBuffer rest(before - (std::size_t{600} << 20), "all but a little");
    expect_refused<DeviceError>([&] { const Session session(plan); },
                                {"too little free memory", "weights of layer \"layer\"", "MB needed"});
  }
  EXPECT_GE(cuda::free_bytes(), before);
  const Session session(plan);
  EXPECT_GE(session.device_bytes(), std::size_t{1} << 30);
}

TEST_F(Sessions, MoreOutputsThanInt32Counts) {
  const std::int64_t tokens = 1 << 20, rows = 2056, cols = 16;
  if (cuda::free_bytes() < std::size_t{20} << 30) GTEST_SKIP() << "needs 20 GiB of the GPU's memory";
  const Halves weight = random_halves(1, DType::bf16, rows, cols, 0.5);
  const Plan plan = gpu_plan(weight, {.tokens = {8}, .bias = some_bias(rows, false)});
  const Session session(plan);
  const cuda::DeviceBuffer x(static_cast<std::size_t>(tokens * cols) * 2, "x");
  const cuda::DeviceBuffer y(static_cast<std::size_t>(tokens * rows) * 2, "y");
  const cuda::DeviceBuffer workspace(session.workspace_bytes(0, tokens), "a workspace");
  const Halves some = random_halves(2, DType::bf16, 4, cols, 1);
  const auto at = [&](std::int64_t columns) { return static_cast<std::size_t>((tokens - 4) * columns) * 2; };
  x.fill(0);
  x.upload(some.bytes(), at(cols));
  const Stream stream;
  cuda::RunArgs args;
  args.x = x.data();
  args.y = y.data();
  args.tokens = tokens;
  args.workspace = workspace.data();
  args.workspace_bytes = workspace.size();
  session.run(0, args, stream.get());
  stream.wait();
  Halves last(DType::bf16, 4, rows);
  y.download(std::as_writable_bytes(std::span(last.bits)), at(rows));
  Epilogue epilogue;
  epilogue.bias = plan.layers[0].bias;
  EXPECT_EQ(mismatch(exact_product(weight, some), epilogue, last), "");
}

}  // namespace
}  // namespace cross::testing
