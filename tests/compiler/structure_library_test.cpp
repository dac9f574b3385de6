// A library for the weight's structure (cuSPARSELt) beside the layer's own kernel: which of them a plan
// takes.
#include <gtest/gtest.h>

#include "compiler/compile_layer.h"

namespace cross::compiler {
namespace {

constexpr std::int64_t rows = 64, cols = 128, few = 16, many = 1024;
constexpr double own_us = 50, dense_us = 100;

/// A GPU on which every packed layer takes 50 µs, dense weights 100 and the library 50 / gain at many tokens.
class FakeGpu final : public Measurer {
 public:
  explicit FakeGpu(double gain) : gain_(gain) {}
  std::vector<std::string> libraries() const override { return {"cublaslt"}; }
  double layer_us(const LayerPlan&, DType, std::int64_t) override { return own_us; }
  DenseMeasurement dense(const std::string&, DType, std::int64_t, std::int64_t, bool, std::int64_t) override {
    return {dense_us, "7"};
  }
  std::optional<StructureMeasurement> sparse_library(const LayerPlan& layer, DType,
                                                     std::int64_t tokens) override {
    EXPECT_EQ(layer.packings.size(), 1u);
    if (tokens < many) return std::nullopt;
    return StructureMeasurement{gain_, "0.8.0:17:1:0:0"};
  }

 private:
  double gain_;
};

LayerPlan compiled(double gain) {
  std::vector<std::uint16_t> bits(rows * cols, 0);
  for (std::size_t i = 0; i < bits.size(); ++i)
    if (i % 4 < 2) bits[i] = 0x3f80;
  const MatrixView weight{DType::bf16, rows, cols, reinterpret_cast<const std::byte*>(bits.data())};
  CostProfile profile;
  for (const std::int64_t tokens : {few, many}) {
    profile.curves.push_back({"two_four.decode", "mma", tokens, rows, cols, {{1.0, own_us, 0}}});
    profile.curves.push_back({"two_four.prefill", "mma", tokens, rows, cols, {{1.0, own_us, 0}}});
    profile.curves.push_back({"dense.cublaslt", "mma", tokens, rows, cols, {{1.0, dense_us, 0}}});
  }
  GpuFamily gpu;
  gpu.max_tokens[Format::two_four] = few;
  CompileOptions options;
  options.device = "cuda";
  options.dtype = DType::bf16;
  options.tokens = {few, many};
  options.threads = 1;
  options.format = "two_four";
  FakeGpu measurer(gain);
  return compile_layer({"fake", weight, {}},
                       {options, profile, kernels::Isa::scalar, &gpu, &measurer, [] {}});
}

const CandidateRecord& chosen_at(const LayerPlan& plan, std::int64_t tokens) {
  for (const auto& candidate : plan.decision.candidates)
    if (candidate.tokens == tokens && candidate.chosen) return candidate;
  throw std::runtime_error("nothing chosen");
}

TEST(StructureLibrary, IsTakenWhereItIsFasterInTurn) {
  const LayerPlan plan = compiled(1.25);
  EXPECT_EQ(plan.variant_for(few).shape, "decode");
  const Variant& variant = plan.variant_for(many);
  EXPECT_EQ(variant.shape, "cusparselt");
  EXPECT_EQ(variant.algorithm, "0.8.0:17:1:0:0");
  EXPECT_TRUE(variant.library.empty());
  // What one side took before the other does not count, only their ratio.
  EXPECT_NEAR(chosen_at(plan, many).measured_us, own_us / 1.25, 1e-9);
  EXPECT_EQ(plan.packings.size(), 1u);
}

TEST(StructureLibrary, IsLeftWhereOurKernelIsFaster) {
  const LayerPlan plan = compiled(0.99);
  EXPECT_NE(plan.variant_for(many).shape, "cusparselt");
  EXPECT_NEAR(chosen_at(plan, many).measured_us, own_us, 1e-9);
}

}  // namespace
}  // namespace cross::compiler
