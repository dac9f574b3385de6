// The whole way of a model through the command line, and what is true at its end.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/run_cross.h"
#include "cross/model.h"
#include "cross/plan.h"
#include "io/npy.h"

namespace cross::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

/// Runs a command that must succeed; returns what it printed.
std::string done(const CrossFolder& folder, const std::vector<std::string>& arguments) {
  const CrossResult result = folder.run(arguments);
  EXPECT_EQ(result.code, 0) << arguments.front() << ": " << result.err;
  return result.out;
}

TEST(Flow, SmallModelFromInspectToBench) {
  const CrossFolder folder;
  const std::string model = folder.write_small_model();
  const std::string pruned = folder.path("pruned.safetensors");

  const std::string inspected = done(folder, {"inspect", model});
  EXPECT_THAT(inspected, HasSubstr("a.weight: 96x160 F32, 0.00 % sparse (2-D weight)"));
  EXPECT_THAT(inspected, HasSubstr("embedding"));
  EXPECT_THAT(inspected, HasSubstr("2 layers to compile"));

  EXPECT_THAT(done(folder, {"prune", model, "-o", pruned, "--sparsity", "0.8"}),
              HasSubstr("80.00 % sparse in all"));

  for (const std::string dtype : {"fp32", "bf16"}) {
    const std::string plan = folder.path(dtype + ".plan");
    const std::string compiled =
        done(folder, {"compile", pruned, "-o", plan, "--dtype", dtype, "--tokens", "1,16", "--threads", "2"});
    EXPECT_THAT(compiled, HasSubstr("2 layers, " + dtype));

    const std::string explained = done(folder, {"explain", plan});
    EXPECT_THAT(explained, HasSubstr("a: 96x160, 80.00 % sparse"));
    EXPECT_THAT(explained, HasSubstr("shipped default"));
    EXPECT_THAT(explained, HasSubstr("1 token: "));
    EXPECT_THAT(explained, HasSubstr("16 tokens: "));

    const std::string verified = done(folder, {"verify", plan, pruned});
    EXPECT_THAT(verified, HasSubstr("all 2 layers passed"));

    const std::string measured = done(folder, {"bench", plan, "--seconds", "0.01"});
    EXPECT_THAT(measured, HasSubstr("total, tokens"));
  }
  EXPECT_THAT(folder.files(),
              ElementsAre("bf16.plan", "fp32.plan", "model.safetensors", "pruned.safetensors"));
}

TEST(Flow, RunComputesTheProduct) {
  const CrossFolder folder;
  const Model model = Model::load(tiny_smtx());
  const MatrixView w = model.tensors()[0].matrix();
  folder.folder().write("x.npy", npy_bytes(2, 4, {1, 2, 3, 4, -1, 0.5f, 0, 2}));
  for (const std::string dtype : {"fp32", "bf16"}) {
    const std::string plan = folder.compile_tiny(dtype + ".plan", dtype);
    done(folder, {"run", plan, "--layer", "tiny", "--input", folder.path("x.npy"), "--output",
                  folder.path("y.npy"), "--activation", "relu"});
    const io::FloatMatrix x = io::read_npy(folder.path("x.npy"));
    const io::FloatMatrix y = io::read_npy(folder.path("y.npy"));
    ASSERT_EQ(y.rows, 2);
    ASSERT_EQ(y.cols, 3);
    for (std::int64_t t = 0; t < 2; ++t)
      for (std::int64_t r = 0; r < 3; ++r) {
        float sum = 0;
        for (std::int64_t c = 0; c < 4; ++c)
          sum += w.value(r, c) * x.values[static_cast<std::size_t>(t * 4 + c)];
        EXPECT_NEAR(y.values[static_cast<std::size_t>(t * 3 + r)], std::max(sum, 0.0f),
                    dtype == "fp32" ? 1e-5 : 0.05)
            << dtype << " token " << t << " row " << r;
      }
  }
}

TEST(Flow, BiasIsAddedUnlessRefused) {
  const CrossFolder folder;
  const std::string model = folder.write_small_model();
  const std::string plan = folder.path("p.plan");
  done(folder, {"compile", model, "-o", plan, "--no-measure"});
  folder.folder().write("x.npy", npy_bytes(1, 160, std::vector<float>(160)));
  const std::vector<std::string> run = {
      "run", plan, "--layer", "a", "--input", folder.path("x.npy"), "--output", folder.path("y.npy")};
  done(folder, run);
  const io::FloatMatrix with = io::read_npy(folder.path("y.npy"));
  auto without = run;
  without.push_back("--no-bias");
  done(folder, without);
  EXPECT_THAT(io::read_npy(folder.path("y.npy")).values, ::testing::Each(0.0f));
  EXPECT_EQ(with.values, Plan::load(plan).find("a")->bias);
}

TEST(Flow, BenchCompilesAModelFirst) {
  const CrossFolder folder;
  const auto report =
      folder.run({"bench", tiny_smtx(), "--tokens", "1,3", "--no-measure", "--seconds", "0.01", "--json"})
          .json();
  ASSERT_EQ(report["layers"].size(), 2u);
  EXPECT_EQ(report["layers"][0]["name"], "tiny");
  EXPECT_EQ(report["layers"][1]["tokens"], 3);
}

TEST(Flow, APlanMayBeNamedSafetensors) {
  const CrossFolder folder;
  const std::string plan = folder.compile_tiny("plan.safetensors");
  EXPECT_EQ(folder.run({"explain", plan}).code, 0);
  EXPECT_EQ(folder.run({"bench", plan, "--tokens", "1", "--seconds", "0.01"}).code, 0);
  const CrossResult result = folder.run({"inspect", plan});
  EXPECT_EQ(result.code, 2);
  EXPECT_THAT(result.err, HasSubstr("is a plan, not a model"));
}

TEST(Flow, OneLayerOfSeveral) {
  const CrossFolder folder;
  const std::string model = folder.write_small_model();
  const std::string plan = folder.path("p.plan");
  const std::string text = done(folder, {"compile", model, "-o", plan, "--no-measure", "--include", "a",
                                         "--include", "b*", "--exclude", "b"});
  EXPECT_THAT(text, HasSubstr("1 layer, fp32"));
  EXPECT_THAT(done(folder, {"verify", plan, model}),
              HasSubstr("1 layer of the model not in the plan, not checked: b"));
  EXPECT_THAT(done(folder, {"explain", plan, "--layer", "a"}), HasSubstr("layers     1"));
}

}  // namespace
}  // namespace cross::testing
