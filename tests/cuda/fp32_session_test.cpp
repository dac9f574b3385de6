// fp32 layers through sessions: packed formats and true-fp32 cuBLASLt, one layer and chains of them.
#include <gtest/gtest.h>

#include <cstring>

#include "compiler/pack/gpu/pack_gpu.h"
#include "cross/executor.h"
#include "cuda/floats.h"
#include "cuda/gpu_test.h"
#include "cuda/memory.h"
#include "kernels/cuda/gpu_kernel.h"
#include "plan/formats/layout.h"

namespace cross::testing {
namespace {

using cuda::DeviceBuffer;
using cuda::Session;
using cuda::Stream;

/// A plan of one fp32 layer. @param format  dense: row-major, for cuBLASLt
Plan fp32_plan(const Floats& weight, Format format, std::int64_t tokens,
               const std::vector<float>& bias = {}) {
  LayerPlan layer;
  layer.name = "layer";
  layer.rows = weight.rows;
  layer.cols = weight.cols;
  layer.source_dtype = DType::fp32;
  layer.bias = bias;
  Packing packing;
  packing.arithmetic = PlanArithmetic::fp32;
  std::vector<std::byte> bytes;
  if (format == Format::dense) {
    bytes.assign(weight.bytes().begin(), weight.bytes().end());
    for (const float v : weight.values) layer.nnz += v != 0 ? 1 : 0;
  } else {
    compiler::GpuTarget target;
    target.sms = first_gpu()->sms;
    target.shared_bytes = first_gpu()->shared_bytes;
    target.tokens = tokens;
    bytes = compiler::pack_gpu({DType::fp32, weight.rows, weight.cols, weight.bytes().data()}, DType::fp32,
                               format, target, available_cores(), layer.nnz);
    packing.panels.push_back(
        {0, static_cast<int>(weight.rows), {{format, 0, weight.cols, 0, bytes.size(), 0, 0}}});
  }
  bytes.resize(formats::round_up(bytes.size(), 64) + formats::segment_overread);
  packing.data = Blob::own(std::move(bytes));
  layer.packings.push_back(std::move(packing));
  Variant variant;
  variant.tokens = tokens;
  variant.shape = format == Format::dense ? "library" : "decode";
  if (format == Format::dense) variant.library = "cublaslt";
  layer.variants.push_back(variant);
  Plan plan;
  plan.device = "cuda";
  plan.dtype = DType::fp32;
  plan.sm = first_gpu()->sm();
  plan.sms = first_gpu()->sms;
  plan.layers.push_back(std::move(layer));
  return plan;
}

class Fp32Sessions : public GpuTest {
 protected:
  static std::vector<Format> formats() {
    std::vector<Format> all{Format::dense};
    for (const Format format : {Format::cross_panels, Format::split_blocks})
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
      const Plan plan = fp32_plan(weight, format, 256, bias);
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

/// Chains with programmatic dependent launch: each product reads what the one before it wrote, and all share
/// a workspace.
TEST_F(Fp32Sessions, OverlappedChainsGiveTheSameBits) {
  for (const Format format : formats())
    for (const std::int64_t extent : {512, 2048}) {
      const std::int64_t tokens = 256;
      SCOPED_TRACE(::testing::Message() << name_of(format) << ", " << extent << "x" << extent);
      Floats weight = random_floats(4, extent, extent, 0.1);
      for (float& v : weight.values) v *= 3.0f / std::sqrt(static_cast<float>(extent));
      const Plan plan = fp32_plan(weight, format, tokens);
      const Session session(plan);
      const Floats x = random_floats(5, tokens, extent, 1);
      const DeviceBuffer workspace(session.workspace_bytes(0, tokens), "a workspace");
      std::vector<std::vector<float>> results;
      for (const bool overlap : {false, true}) {
        std::vector<DeviceBuffer> states;
        for (int i = 0; i < 5; ++i) states.emplace_back(x.bytes().size(), "activations");
        for (const auto& state : states) state.fill(0xff);
        states[0].upload(x.bytes());
        workspace.fill(0xff);
        const Stream stream;
        session.prepare_workspace(workspace.data(), workspace.size(), stream.get());
        for (int round = 0; round < 10; ++round)
          for (std::size_t i = 1; i < states.size(); ++i) {
            cuda::RunArgs args;
            args.x = states[i - 1].data();
            args.y = states[i].data();
            args.tokens = tokens;
            args.workspace = workspace.data();
            args.workspace_bytes = workspace.size();
            args.overlap = overlap && (round > 0 || i > 1);
            session.run(0, args, stream.get());
          }
        stream.wait();
        std::vector<float> y(x.values.size());
        states.back().download(std::as_writable_bytes(std::span(y)));
        results.push_back(std::move(y));
      }
      EXPECT_EQ(std::memcmp(results[0].data(), results[1].data(), 4 * results[0].size()), 0);
    }
}

}  // namespace
}  // namespace cross::testing
