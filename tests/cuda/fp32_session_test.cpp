// fp32 layers through sessions: packed formats and true-fp32 cuBLASLt, one layer and chains of them.
#include <gtest/gtest.h>

#include <cmath>

#include "cuda/chain.h"
#include "cuda/floats.h"
#include "cuda/gpu_plan.h"
#include "cuda/gpu_test.h"
#include "cuda/memory.h"
#include "kernels/cuda/gpu_kernel.h"

namespace cross::testing {
namespace {

using cuda::DeviceBuffer;
using cuda::Session;
using cuda::Stream;

class Fp32Sessions : public GpuTest {
 protected:
  static std::vector<Format> formats() {
    std::vector<Format> all{Format::dense};
    for (const Format format : {Format::cross_panels, Format::split_blocks, Format::row_lists})
      if (kernels::cuda::gpu_kernel_for(format, first_gpu()->major, first_gpu()->minor) != nullptr)
        all.push_back(format);
    return all;
  }
};

TEST_F(Fp32Sessions, EveryFormatAtSomeTokenCounts) {
  for (const Format format : formats())
    for (const auto& [rows, cols] : {std::pair<int, int>{200, 333}, {1500, 2080}}) {
      const Floats weight = random_floats(1, rows, cols, 0.1);
      std::vector<float> bias(static_cast<std::size_t>(rows));
      for (std::size_t i = 0; i < bias.size(); ++i) bias[i] = 0.25f * static_cast<float>(i % 9) - 1;
      const Plan plan = gpu_plan(weight.view(), {.format = format, .tokens = {256}, .bias = bias});
      const Session session(plan);
      // Also more than one launch takes.
      for (const std::int64_t tokens : {1, 37, 256, 1100}) {
        if (tokens * rows * cols > 1'000'000'000) continue;
        SCOPED_TRACE(::testing::Message() << name_of(format) << ", " << rows << "x" << cols << ", " << tokens
                                          << " tokens by " << session.kernel(0, tokens));
        const Floats x = random_floats(2, tokens, cols, 1), residual = random_floats(3, tokens, rows, 1);
        const DeviceBuffer x_gpu(x.bytes().size(), "x"), residual_gpu(residual.bytes().size(), "a residual"),
            y(residual.bytes().size(), "y"), workspace(session.workspace_bytes(0, tokens), "a workspace");
        x_gpu.upload(x.bytes());
        residual_gpu.upload(residual.bytes());
        y.fill(0xff);
        workspace.fill(0xff);
        const Stream stream;
        session.prepare_workspace(workspace.data(), workspace.size(), stream.get());
        cuda::RunArgs args;
        args.x = x_gpu.data();
        args.y = y.data();
        args.tokens = tokens;
        args.residual = residual_gpu.data();
        args.activation = Activation::relu;
        args.workspace = workspace.data();
        args.workspace_bytes = workspace.size();
        session.run(0, args, stream.get());
        stream.wait();
        std::vector<float> result(residual.values.size());
        y.download(std::as_writable_bytes(std::span(result)));
        ASSERT_NO_FATAL_FAILURE(expect_product(weight, x, result, Activation::relu, &residual, bias));
      }
    }
}

TEST_F(Fp32Sessions, OverlappedChainsGiveTheSameBits) {
  for (const Format format : formats())
    for (const std::int64_t extent : {512, 2048}) {
      const std::int64_t tokens = 256;
      SCOPED_TRACE(::testing::Message() << name_of(format) << ", " << extent << "x" << extent);
      Floats weight = random_floats(4, extent, extent, 0.1);
      for (float& v : weight.values) v *= 3.0f / std::sqrt(static_cast<float>(extent));
      const Plan plan = gpu_plan(weight.view(), {.format = format, .tokens = {tokens}});
      const Session session(plan);
      const Floats x = random_floats(5, tokens, extent, 1);
      expect_same_bits_overlapped(session, {tokens, x.bytes()});
    }
}

}  // namespace
}  // namespace cross::testing
