// The fields that scripts rely on.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/run_cross.h"

namespace cross::testing {
namespace {

using nlohmann::json;

void expect_fields(const json& object, const std::vector<std::string>& fields) {
  ASSERT_TRUE(object.is_object()) << object;
  for (const std::string& field : fields) EXPECT_TRUE(object.contains(field)) << field << " in " << object;
}

/// A command with --json that must succeed, print JSON and say nothing else.
json run_json(const CrossFolder& folder, std::vector<std::string> arguments) {
  arguments.emplace_back("--json");
  const CrossResult result = folder.run(arguments);
  EXPECT_EQ(result.code, 0) << arguments.front() << ": " << result.err;
  EXPECT_EQ(result.err, "") << arguments.front();
  return result.json();
}

TEST(Json, Bench) {
  const CrossFolder folder;
  const json report = run_json(
      folder, {"bench", folder.compile_tiny(), "--tokens", "1,8", "--seconds", "0.01", "--threads", "1"});
  expect_fields(report, {"device", "layers", "total"});
  ASSERT_EQ(report["layers"].size(), 2u);
  ASSERT_EQ(report["total"].size(), 2u);
  expect_fields(report["layers"][0], {"name", "m", "k", "tokens", "dtype", "sparsity", "dense_us", "cross_us",
                                      "speedup", "rel_error", "baseline", "bytes_dense", "bytes_plan"});
  expect_fields(report["total"][0], {"tokens", "dense_us", "cross_us", "speedup"});
  EXPECT_EQ(report["layers"][0]["m"], 3);
  EXPECT_EQ(report["layers"][0]["k"], 4);
  EXPECT_EQ(report["layers"][0]["bytes_dense"], 48);
  EXPECT_GT(report["layers"][0]["dense_us"], 0.0);
}

TEST(Json, Inspect) {
  const CrossFolder folder;
  const json report = run_json(folder, {"inspect", folder.write_small_model()});
  expect_fields(report, {"model", "layers", "left_alone", "total"});
  ASSERT_EQ(report["layers"].size(), 2u);
  expect_fields(report["layers"][0],
                {"name", "m", "k", "dtype", "selected", "reason", "sparsity", "structure", "uniformity",
                 "outside_two_four", "sizes", "smallest", "smallest_reason"});
  EXPECT_EQ(report["layers"][0]["sizes"]["dense"], 96 * 160 * 4);
  ASSERT_EQ(report["left_alone"].size(), 3u);
  EXPECT_EQ(report["left_alone"][0]["reason"], "embedding");
}

TEST(Json, InspectMap) {
  const CrossFolder folder;
  const json map =
      run_json(folder, {"inspect", folder.write_small_model(), "--map", "a", "--map-block", "64"});
  ASSERT_EQ(map["density"].size(), 2u);
  EXPECT_EQ(map["density"][0].size(), 3u);
  EXPECT_EQ(map["density"][1][2], 1.0);
}

TEST(Json, Prune) {
  const CrossFolder folder;
  const json report = run_json(
      folder, {"prune", folder.write_small_model(), "-o", folder.path("p.safetensors"), "--pattern", "2:4"});
  expect_fields(report, {"output", "layers", "total"});
  expect_fields(report["layers"][0], {"name", "m", "k", "sparsity_before", "sparsity_after"});
  EXPECT_DOUBLE_EQ(report["total"]["sparsity_after"], 0.5);
}

TEST(Json, ExplainHasThePredictedAndTheMeasuredImbalance) {
  const CrossFolder folder;
  const std::string plan = folder.path("m.plan");
  // Forced, because dense layers run in a library whose threads nobody sees.
  ASSERT_EQ(folder.run({"compile", folder.write_small_model(), "-o", plan, "--format", "index8"}).code, 0);
  const json report = run_json(folder, {"explain", plan});
  const json& imbalance = report["layers"][0]["tokens"][0]["imbalance"];
  expect_fields(imbalance, {"same", "paired", "longest_first", "measured"});
  for (const auto& [name, value] : imbalance.items()) EXPECT_GE(value, 1.0) << name;
}

TEST(Json, CompileWithExplain) {
  const CrossFolder folder;
  const json report =
      run_json(folder, {"compile", tiny_smtx(), "-o", folder.path("t.plan"), "--no-measure", "--explain"});
  expect_fields(report, {"plan", "device", "dtype", "threads", "profile", "profile_source", "bytes_dense",
                         "bytes_plan", "layers", "explain"});
  EXPECT_EQ(report["layers"][0]["name"], "tiny");
}

TEST(Json, Explain) {
  const CrossFolder folder;
  const json report = run_json(folder, {"explain", folder.compile_tiny()});
  expect_fields(report, {"device", "dtype", "threads", "profile", "profile_source", "layers"});
  ASSERT_EQ(report["layers"].size(), 1u);
  const json& layer = report["layers"][0];
  expect_fields(layer, {"name", "m", "k", "sparsity", "structure", "row_order", "bands", "bytes_dense",
                        "bytes_plan", "copies", "tokens"});
  expect_fields(layer["bands"], {"dense", "swing", "sparse", "empty"});
  double share = 0;
  for (const json& format : layer["copies"][0]["formats"]) share += format["share"].get<double>();
  EXPECT_NEAR(share, 1.0, 1e-12);
  ASSERT_EQ(layer["tokens"].size(), 2u);
  expect_fields(layer["tokens"][0], {"tokens", "kernel", "predicted_us", "measured_us", "dense_predicted_us",
                                     "dense_measured_us", "speedup", "policy", "rejected"});
  for (const json& rejected : layer["tokens"][0]["rejected"]) EXPECT_NE(rejected["reason"], "") << rejected;
}

TEST(Json, Verify) {
  const CrossFolder folder;
  const json report = run_json(folder, {"verify", folder.compile_tiny(), tiny_smtx()});
  EXPECT_EQ(report["passed"], true);
  EXPECT_EQ(report["layers"][0]["weights"]["differing"], 0);
  EXPECT_EQ(report["layers"][0]["weights"]["positions"], 12);
  expect_fields(report["layers"][0]["products"][0],
                {"tokens", "rel_error", "tolerance", "passed", "rows_checked"});
}

TEST(Json, Run) {
  const CrossFolder folder;
  folder.folder().write("x.npy", npy_bytes(1, 4, {1, 1, 1, 1}));
  const json report = run_json(folder, {"run", folder.compile_tiny(), "--layer", "tiny", "--input",
                                        folder.path("x.npy"), "--output", folder.path("y.npy")});
  EXPECT_EQ(report["tokens"], 1);
  EXPECT_TRUE(folder.has("y.npy"));
}

}  // namespace
}  // namespace cross::testing
