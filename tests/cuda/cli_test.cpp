// The whole way of a model through `cross --device cuda`.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/run_cross.h"
#include "cuda/gpu_test.h"
#include "io/npy.h"

namespace cross::testing {
namespace {

using ::testing::HasSubstr;

class GpuFlow : public GpuTest {
 protected:
  std::string done(const std::vector<std::string>& arguments) const {
    const CrossResult result = folder_.run(arguments);
    EXPECT_EQ(result.code, 0) << arguments.front() << ": " << result.err;
    return result.out;
  }
  /// Prices of this GPU, measured once for all tests.
  std::string profile() const {
    static const TempFolder kept;
    const std::string path = (kept.path() / "profile.json").string();
    static const CrossResult result = folder_.run({"calibrate", "--device", "cuda", "--quick", "-o", path});
    EXPECT_EQ(result.code, 0) << result.err;
    return path;
  }

  CrossFolder folder_;
};

TEST_F(GpuFlow, SmallModelFromPruneToBench) {
  const std::string model = folder_.write_small_model();
  const std::string pruned = folder_.path("pruned.safetensors"), plan = folder_.path("plan");
  done({"prune", model, "-o", pruned, "--sparsity", "0.8"});
  for (const std::string dtype : {"bf16", "fp16", "fp32"}) {
    SCOPED_TRACE(dtype);
    EXPECT_THAT(done({"compile", pruned, "-o", plan, "--device", "cuda", "--dtype", dtype, "--tokens",
                      "1,8,100", "--profile", profile()}),
                HasSubstr("2 layers, " + dtype));
    EXPECT_THAT(done({"explain", plan}), HasSubstr("cuda"));
    EXPECT_THAT(done({"verify", plan, pruned}), HasSubstr("all 2 layers passed"));
    EXPECT_THAT(done({"verify", plan, pruned, "--device", "cuda:0", "--tokens", "1,3,17,300"}),
                HasSubstr("all 2 layers passed"));
    const auto report = folder_.run({"bench", plan, "--json", "--seconds", "0.01"}).json();
    ASSERT_EQ(report["layers"].size(), 6u);
    for (const auto& row : report["layers"]) EXPECT_GT(row["speedup"].get<double>(), 0);
  }
}

TEST_F(GpuFlow, EveryFormatCanBeForced) {
  const std::string model = folder_.write_small_model(), plan = folder_.path("plan");
  for (const Format format : gpu_formats) {
    SCOPED_TRACE(name_of(format));
    const CrossResult compiled = folder_.run({"compile", model, "-o", plan, "--device", "cuda", "--format",
                                              std::string(name_of(format)), "--profile", profile()});
    if (compiled.code == 2) continue;  // a dense model: not what every format holds
    ASSERT_EQ(compiled.code, 0) << compiled.err;
    EXPECT_THAT(done({"explain", plan}), HasSubstr(std::string(name_of(format))));
    EXPECT_THAT(done({"verify", plan, model}), HasSubstr("all 2 layers passed"));
  }
}

TEST_F(GpuFlow, RunComputesTheProduct) {
  const std::string plan = folder_.path("plan");
  done({"compile", tiny_smtx(), "-o", plan, "--device", "cuda", "--profile", profile()});
  folder_.folder().write("x.npy", npy_bytes(2, 4, {1, 2, 3, 4, -1, 0.5f, 0, 2}));
  done({"run", plan, "--layer", "tiny", "--input", folder_.path("x.npy"), "--output", folder_.path("y.npy")});
  const io::FloatMatrix y = io::read_npy(folder_.path("y.npy"));
  EXPECT_EQ(y.rows, 2);
  EXPECT_EQ(y.cols, 3);
  EXPECT_THAT(done({"verify", plan, tiny_smtx()}), HasSubstr("all 1 layer passed"));
}

TEST_F(GpuFlow, PlansOfOneDeviceDoNotRunOnAnother) {
  const std::string plan = folder_.path("plan");
  done({"compile", tiny_smtx(), "-o", plan, "--device", "cuda", "--profile", profile()});
  const CrossResult result = folder_.run({"verify", plan, tiny_smtx(), "--device", "cpu"});
  EXPECT_EQ(result.code, 2);
  EXPECT_THAT(result.err, HasSubstr("the plan is for cuda"));
}

}  // namespace
}  // namespace cross::testing
