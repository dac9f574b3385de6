// One test per mistake that a user can make: the exit code, the words of the message, and no file left
// behind.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/run_cross.h"

namespace cross::testing {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;

class Mistakes : public CrossCommands {};

TEST_F(Mistakes, NoCommand) { expect({}, 2, {"A subcommand is required", "cross --help"}); }
TEST_F(Mistakes, UnknownCommand) {
  expect({"compil"}, 2, {"there is no command \"compil\"", "inspect", "compile"});
}
TEST_F(Mistakes, UnknownOption) {
  expect({"compile", tiny_smtx(), "-o", path("p"), "--fast"}, 2, {"--fast", "cross compile --help"});
}
TEST_F(Mistakes, OptionWithoutValue) { expect({"compile", tiny_smtx(), "-o"}, 2, {"--output"}); }
TEST_F(Mistakes, MissingOutput) { expect({"compile", tiny_smtx()}, 2, {"--output is required"}); }
TEST_F(Mistakes, NumberThatIsNone) {
  expect({"compile", tiny_smtx(), "-o", path("p"), "--threads", "many"}, 2, {"--threads", "many"});
}

TEST_F(Mistakes, ModelThatIsNotThere) {
  expect({"inspect", path("none.safetensors")}, 2, {"none.safetensors", "no such file or folder"});
}
TEST_F(Mistakes, UnknownKindOfModel) {
  folder_.folder().write("model.bin", "x");
  expect({"inspect", path("model.bin")}, 2, {"\".bin\"", ".safetensors"});
}
TEST_F(Mistakes, FolderWithoutModel) {
  expect({"inspect", folder_.folder().path().string()}, 2, {"model.safetensors"});
}
TEST_F(Mistakes, DamagedModel) {
  folder_.folder().write("cut.safetensors",
                         read_file(folder_.write_small_model("whole.safetensors")).substr(0, 100));
  expect({"compile", path("cut.safetensors"), "-o", path("p")}, 3, {"cut.safetensors", "header length"});
}
TEST_F(Mistakes, GlobWithoutMatch) {
  expect({"compile", tiny_smtx(), "-o", path("p"), "--include", "encoder.*"}, 2,
         {"encoder.*", "tiny.weight"});
}
TEST_F(Mistakes, NothingSelected) {
  expect({"compile", tiny_smtx(), "-o", path("p"), "--exclude", "*"}, 2,
         {"no layer is selected", "cross inspect"});
}

TEST_F(Mistakes, GpuThatIsNotThere) {
#ifdef CROSS_HAS_CUDA
  const std::vector<std::string> parts = {"--device cuda:999", "GPU"};
#else
  const std::vector<std::string> parts = {"no CUDA support", "-DCROSS_CUDA=ON", "--device cpu"};
#endif
  expect({"compile", tiny_smtx(), "-o", path("p"), "--device", "cuda:999"}, 5, parts);
  expect({"calibrate", "--device", "cuda:999"}, 5, parts);
  expect({"bench", tiny_smtx(), "--device", "cuda:999"}, 5, parts);
}

TEST_F(Mistakes, UnknownDevice) {
  expect({"compile", tiny_smtx(), "-o", path("p"), "--device", "tpu"}, 2, {"\"tpu\"", "cpu or cuda"});
}
TEST_F(Mistakes, UnknownDtype) {
  expect({"compile", tiny_smtx(), "-o", path("p"), "--dtype", "fp16"}, 2, {"\"fp16\"", "fp32 or bf16"});
}
TEST_F(Mistakes, TokensThatAreNoNumbers) {
  for (const std::string tokens : {"1,x", "1,,2", "1,", "1 2", "99999999999999999999"})
    expect({"compile", tiny_smtx(), "-o", path("p"), "--tokens", tokens}, 2, {"--tokens", "1,128"});
}
TEST_F(Mistakes, TokensOutOfRange) {
  expect({"compile", tiny_smtx(), "-o", path("p"), "--tokens", "0"}, 2, {"token count 0"});
  expect({"verify", folder_.compile_tiny(), tiny_smtx(), "--tokens", "-1"}, 2, {"token count -1"});
}
TEST_F(Mistakes, ThreadsOutOfRange) {
  expect({"compile", tiny_smtx(), "-o", path("p"), "--threads", "-2"}, 2, {"--threads -2"});
}
TEST_F(Mistakes, UnknownFormatPolicyCopies) {
  expect({"compile", tiny_smtx(), "-o", path("p"), "--format", "csr"}, 2, {"csr", "index8"});
  expect({"compile", tiny_smtx(), "-o", path("p"), "--policy", "fair"}, 2, {"fair", "longest_first"});
  expect({"compile", tiny_smtx(), "-o", path("p"), "--copies", "0"}, 2, {"--copies 0"});
}
TEST_F(Mistakes, FormatThatCannotHoldTheLayer) {
  expect({"compile", tiny_smtx(), "-o", path("p"), "--format", "n_m", "--no-measure"}, 2, {"tiny", "n_m"});
}
TEST_F(Mistakes, ProfileThatIsNone) {
  folder_.folder().write("profile.json", "{}");
  expect({"compile", tiny_smtx(), "-o", path("p"), "--profile", path("profile.json")}, 3, {"profile.json"});
  expect({"compile", tiny_smtx(), "-o", path("p"), "--profile", path("none.json")}, 2, {"none.json"});
}
TEST_F(Mistakes, UnknownStage) {
  expect({"compile", tiny_smtx(), "-o", path("p"), "--dump-stage", "cook"}, 2, {"\"cook\"", "partition"});
  expect({"compile", tiny_smtx(), "-o", path("p"), "--dump-to", path("d")}, 2, {"--dump-stage"});
  expect({"compile", tiny_smtx(), "-o", path("p"), "--dump-stage", "all", "--json"}, 2, {"--dump-to FILE"});
}

TEST_F(Mistakes, OutputIsTheInput) {
  const std::string model = folder_.write_small_model();
  const std::string before = read_file(model);
  expect({"compile", model, "-o", model}, 2, {"would overwrite"});
  expect({"prune", model, "-o", model, "--sparsity", "0.5"}, 2, {"model.safetensors"});
  EXPECT_EQ(read_file(model), before);
  const std::string plan = folder_.compile_tiny();
  folder_.folder().write("x.npy", npy_bytes(1, 4, {1, 1, 1, 1}));
  for (const std::string& output : {path("x.npy"), plan})
    expect({"run", plan, "--layer", "tiny", "--input", path("x.npy"), "--output", output}, 2,
           {"would overwrite"});
}
TEST_F(Mistakes, OutputCannotBeThere) {
  expect({"compile", tiny_smtx(), "-o", path("none/p")}, 2, {"there is no folder"});
  expect({"compile", tiny_smtx(), "-o", folder_.folder().path().string()}, 2, {"is a folder"});
}

TEST_F(Mistakes, PruneWithoutOrWithWrongSparsity) {
  expect({"prune", tiny_smtx(), "-o", path("p.safetensors")}, 2, {"--sparsity"});
  for (const std::string sparsity : {"1", "-0.1", "80", "nan"})
    expect({"prune", tiny_smtx(), "-o", path("p.safetensors"), "--sparsity", sparsity}, 2, {"sparsity"});
}
TEST_F(Mistakes, UnknownPatternScopeMethod) {
  const std::vector<std::string> prune = {"prune",      tiny_smtx(), "-o", path("p.safetensors"),
                                          "--sparsity", "0.5"};
  const auto with = [&](const std::string& option, const std::string& value) {
    auto arguments = prune;
    arguments.insert(arguments.end(), {option, value});
    return arguments;
  };
  expect(with("--pattern", "2of4"), 2, {"2of4", "block"});
  expect(with("--scope", "row"), 2, {"\"row\"", "layer or global"});
  expect(with("--method", "wanda"), 2, {"\"wanda\"", "magnitude"});
}

TEST_F(Mistakes, PlanWhereAModelBelongsAndTheOtherWay) {
  expect({"explain", tiny_smtx()}, 2, {"is a model, not a plan", "cross compile"});
  expect({"compile", folder_.compile_tiny("plan.safetensors"), "-o", path("p")}, 2,
         {"is a plan, not a model"});
}
TEST_F(Mistakes, PlanThatIsNotThere) {
  expect({"explain", path("none.plan")}, 2, {"none.plan", "no such file"});
}
TEST_F(Mistakes, DamagedPlans) {
  const std::string whole = read_file(folder_.compile_tiny());
  std::string flipped = whole;
  flipped[flipped.size() - 100] = static_cast<char>(flipped[flipped.size() - 100] ^ 1);
  const std::vector<std::pair<std::string, std::string>> damages = {
      {"truncated.plan", whole.substr(0, whole.size() - 1)},
      {"flipped.plan", flipped},
      {"empty.plan", ""},
      {"text.plan", "this is no plan"},
      {"model.plan", read_file(folder_.write_small_model())}};
  for (const auto& [name, content] : damages) {
    folder_.folder().write(name, content);
    expect({"explain", path(name)}, 3, {name});
    expect({"bench", path(name)}, 3, {name});
    expect({"verify", path(name), tiny_smtx()}, 3, {name});
  }
}

TEST_F(Mistakes, RunUnknownLayer) {
  folder_.folder().write("x.npy", npy_bytes(1, 4, {1, 1, 1, 1}));
  expect(
      {"run", folder_.compile_tiny(), "--layer", "huge", "--input", path("x.npy"), "--output", path("y.npy")},
      2, {"\"huge\"", "\"tiny\""});
}
TEST_F(Mistakes, RunWrongWidth) {
  folder_.folder().write("x.npy", npy_bytes(1, 5, {1, 1, 1, 1, 1}));
  expect(
      {"run", folder_.compile_tiny(), "--layer", "tiny", "--input", path("x.npy"), "--output", path("y.npy")},
      2, {"5 columns", "takes 4"});
}
TEST_F(Mistakes, RunInputMissingOrDamaged) {
  const std::string plan = folder_.compile_tiny();
  expect({"run", plan, "--layer", "tiny", "--input", path("x.npy"), "--output", path("y.npy")}, 2, {"x.npy"});
  folder_.folder().write("x.npy", "not numpy");
  expect({"run", plan, "--layer", "tiny", "--input", path("x.npy"), "--output", path("y.npy")}, 3, {"x.npy"});
}
TEST_F(Mistakes, RunUnknownActivation) {
  expect({"run", folder_.compile_tiny(), "--layer", "tiny", "--input", path("x"), "--output", path("y"),
          "--activation", "tanh"},
         2, {"\"tanh\"", "gelu_tanh"});
}

TEST_F(Mistakes, BenchOptionsOfCompilingOnAPlan) {
  expect({"bench", folder_.compile_tiny(), "--dtype", "bf16"}, 2, {"compiled already", "--dtype"});
}
TEST_F(Mistakes, BenchUnknownBaseline) {
  expect({"bench", folder_.compile_tiny(), "--baseline", "mkl"}, 2, {"mkl", "onednn"});
}
TEST_F(Mistakes, BenchUnknownLayer) {
  expect({"bench", folder_.compile_tiny(), "--layer", "x"}, 2, {"\"x\"", "\"tiny\""});
}

TEST_F(Mistakes, InspectMapOfUnknownLayer) {
  expect({"inspect", tiny_smtx(), "--map", "x"}, 2, {"\"x\"", "\"tiny\""});
  expect({"inspect", tiny_smtx(), "--map", "tiny", "--map-block", "32"}, 2, {"--map-block 32"});
}

// verify prints its report before it fails, so stdout is not empty.
TEST(VerifyMistakes, AnotherModelWithTheSameLayer) {
  const CrossFolder folder;
  const CrossResult result = folder.run({"verify", folder.compile_tiny(), tiny_smtx(), "--seed", "5"});
  EXPECT_EQ(result.code, 4);
  EXPECT_THAT(result.out, HasSubstr("5 differ"));
  EXPECT_THAT(result.err,
              AllOf(HasSubstr("\"tiny\""), HasSubstr("W[0, 1]"), HasSubstr("got"), HasSubstr("expected")));
}
TEST(VerifyMistakes, MissingAndExtraWeights) {
  const CrossFolder folder;
  const std::string pruned = folder.path("p.safetensors");
  ASSERT_EQ(folder.run({"prune", tiny_smtx(), "-o", pruned, "--sparsity", "0.75"}).code, 0);
  const auto extra = folder.run({"verify", folder.compile_tiny(), pruned, "--json"});
  EXPECT_EQ(extra.code, 4);
  EXPECT_EQ(extra.json()["layers"][0]["weights"]["extra"], 2);
  const std::string sparser = folder.path("sparser.plan");
  ASSERT_EQ(folder.run({"compile", pruned, "-o", sparser, "--no-measure"}).code, 0);
  const auto missing = folder.run({"verify", sparser, tiny_smtx(), "--json"});
  EXPECT_EQ(missing.code, 4);
  EXPECT_EQ(missing.json()["layers"][0]["weights"]["missing"], 2);
}
TEST(VerifyMistakes, ModelWithoutTheLayer) {
  const CrossFolder folder;
  const CrossResult result =
      folder.run({"verify", folder.compile_tiny(), folder.write_small_model(), "--json"});
  EXPECT_EQ(result.code, 4);
  EXPECT_THAT(result.err, HasSubstr("has no weight for this layer"));
  EXPECT_EQ(result.json()["failed"], 1);
}
TEST(VerifyMistakes, PlanOfAnotherDtypeIsComparedAfterRounding) {
  const CrossFolder folder;
  EXPECT_EQ(folder.run({"verify", folder.compile_tiny("b.plan", "bf16"), tiny_smtx()}).code, 0);
}

TEST(OutputMistakes, FullDisk) {
  if (!std::filesystem::exists("/dev/full")) GTEST_SKIP() << "no /dev/full";
  const CrossFolder folder;
  const std::string command =
      std::string(CROSS_PROGRAM) + " inspect " + tiny_smtx() + " >/dev/full 2>" + folder.path("err");
  EXPECT_EQ(WEXITSTATUS(std::system(command.c_str())), 3);
  EXPECT_THAT(read_file(folder.path("err")), HasSubstr("standard output"));
}
TEST(OutputMistakes, ReaderThatLeavesIsNoError) {
  const CrossFolder folder;
  // The reader is gone before the program writes; its exit code is the one that counts.
  const std::string command = "bash -c '" + std::string(CROSS_PROGRAM) + " inspect " + tiny_smtx() + " 2>" +
                              folder.path("err") + " | true; exit ${PIPESTATUS[0]}'";
  EXPECT_EQ(WEXITSTATUS(std::system(command.c_str())), 0);
  EXPECT_EQ(read_file(folder.path("err")), "");
}

}  // namespace
}  // namespace cross::testing
