#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "cross/model.h"
#include "cross/prune.h"
#include "prune/models.h"
#include "temp_folder.h"

namespace cross {
namespace {

namespace fs = std::filesystem;
using testing::read_file;
using testing::TempFolder;
using testing::values_of;
using testing::write_folder;
using testing::write_model;

PruneOptions half(PruneScope scope = PruneScope::layer) {
  PruneOptions options;
  options.sparsity = 0.5;
  options.scope = scope;
  return options;
}

/// GPT-2 keeps [in, out]: pruned along its inputs, written as it was.
TEST(PruneModel, WeightsStoredInputsFirst) {
  const TempFolder folder;
  const fs::path in = folder.path() / "in", out = folder.path() / "out";
  fs::create_directory(in);
  write_model(in / "model.safetensors",
              {{"h.0.mlp.c_fc.weight", {4, 2}, {1, 8, 2, 7, 3, 6, 4, 5}}, {"wte.weight", {1, 2}, {1, 2}}});
  std::ofstream(in / "config.json") << R"({"model_type": "gpt2"})";
  PruneOptions options;
  options.pattern = parse_pattern("2:4");
  prune_model(Model::load(in), out, options);
  // In outputs first: rows {1, 2, 3, 4} and {8, 7, 6, 5}, of which two stay in each.
  EXPECT_EQ(values_of(Model::load(out), "h.0.mlp.c_fc.weight"), (std::vector<float>{0, 0, 3, 4, 8, 7, 0, 0}));
  const Model file = Model::load(out / "model.safetensors");
  EXPECT_EQ(values_of(file, "h.0.mlp.c_fc.weight"), (std::vector<float>{0, 8, 0, 7, 3, 0, 4, 0}));
  EXPECT_EQ(file.find("h.0.mlp.c_fc.weight")->shape, (std::vector<std::int64_t>{4, 2}));
}

TEST(PruneModel, FileToFile) {
  const TempFolder folder;
  const fs::path in = folder.path() / "in.safetensors", out = folder.path() / "out.safetensors";
  write_model(
      in, {{"a.weight", {2, 2}, {1, 4, 2, 3}}, {"norm.weight", {2}, {1, 2}}, {"b.weight", {1, 2}, {9, 8}}},
      {{"format", "pt"}, {"note", "kept \"as is\""}});
  const Model model = Model::load(in);
  std::vector<std::string> steps;
  const PruneReport report = prune_model(model, out, half(), [&](const PruneProgress& progress) {
    steps.push_back(std::string(progress.step) + " " + std::string(progress.layer));
    EXPECT_EQ(progress.done, steps.size());
    EXPECT_EQ(progress.layers, 2u);
  });
  const Model result = Model::load(out);
  EXPECT_EQ(values_of(result, "a.weight"), (std::vector<float>{0, 4, 0, 3}));
  EXPECT_EQ(values_of(result, "b.weight"), (std::vector<float>{9, 0}));
  EXPECT_EQ(values_of(result, "norm.weight"), (std::vector<float>{1, 2}));
  EXPECT_EQ(result.metadata(), model.metadata());
  ASSERT_EQ(result.tensors().size(), 3u);
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(result.tensors()[i].name, model.tensors()[i].name);
    EXPECT_EQ(result.tensors()[i].shape, model.tensors()[i].shape);
  }

  EXPECT_EQ(steps, (std::vector<std::string>{"prune a.weight", "prune b.weight"}));
  ASSERT_EQ(report.layers.size(), 2u);
  EXPECT_EQ(report.layers[0].name, "a.weight");
  EXPECT_EQ(report.layers[0].sparsity_after(), 0.5);
  EXPECT_EQ(report.elements, 6);
  EXPECT_EQ(report.zeros_before, 0);
  EXPECT_EQ(report.zeros_after, 3);
}

TEST(PruneModel, GlobalScopeRanksAllLayersTogether) {
  const TempFolder folder;
  const fs::path in = folder.path() / "in.safetensors", out = folder.path() / "out.safetensors";
  write_model(in, {{"a.weight", {1, 4}, {0.1f, 0.2f, 0.3f, 5}}, {"b.weight", {1, 4}, {6, 0.3f, 7, 8}}});
  const PruneReport report = prune_model(Model::load(in), out, half(PruneScope::global));
  const Model result = Model::load(out);
  EXPECT_EQ(values_of(result, "a.weight"), (std::vector<float>{0, 0, 0, 5}));
  EXPECT_EQ(values_of(result, "b.weight"), (std::vector<float>{6, 0, 7, 8}));
  EXPECT_EQ(report.zeros_after, 4);
}

TEST(PruneModel, GlobalTiesGoInTheOrderOfTheModel) {
  const TempFolder folder;
  const fs::path in = folder.path() / "in.safetensors", out = folder.path() / "out.safetensors";
  write_model(in, {{"a.weight", {1, 3}, {1, 1, 1}}, {"b.weight", {1, 3}, {1, 1, 1}}});
  PruneOptions options = half(PruneScope::global);
  options.sparsity = 4.0 / 6;
  prune_model(Model::load(in), out, options);
  const Model result = Model::load(out);
  EXPECT_EQ(values_of(result, "a.weight"), (std::vector<float>{0, 0, 0}));
  EXPECT_EQ(values_of(result, "b.weight"), (std::vector<float>{0, 1, 1}));

  const fs::path again = folder.path() / "again.safetensors";
  prune_model(result, again, options);
  EXPECT_EQ(read_file(again), read_file(out)) << "pruning twice equals pruning once";
}

TEST(PruneModel, GlobalScopeWithRows) {
  const TempFolder folder;
  const fs::path in = folder.path() / "in.safetensors", out = folder.path() / "out.safetensors";
  write_model(in, {{"a.weight", {2, 2}, {1, 1, 2, 2}}, {"b.weight", {2, 3}, {3, 3, 3, 0.5f, 0.5f, 0.5f}}});
  PruneOptions options = half(PruneScope::global);
  options.pattern = parse_pattern("row");
  prune_model(Model::load(in), out, options);
  const Model result = Model::load(out);
  EXPECT_EQ(values_of(result, "a.weight"), (std::vector<float>{0, 0, 2, 2}));
  EXPECT_EQ(values_of(result, "b.weight"), (std::vector<float>{3, 3, 3, 0, 0, 0}));
}

TEST(PruneModel, SelectionLeavesOthersAlone) {
  const TempFolder folder;
  const fs::path in = folder.path() / "in.safetensors", out = folder.path() / "out.safetensors";
  write_model(in, {{"a.weight", {1, 2}, {1, 2}}, {"b.weight", {1, 2}, {1, 2}}});
  PruneOptions options = half();
  options.selection.exclude = {"b.*"};
  EXPECT_EQ(prune_model(Model::load(in), out, options).layers.size(), 1u);
  EXPECT_EQ(values_of(Model::load(out), "a.weight"), (std::vector<float>{0, 2}));
  EXPECT_EQ(values_of(Model::load(out), "b.weight"), (std::vector<float>{1, 2}));
}

TEST(PruneModel, FolderToFolder) {
  const TempFolder temp;
  const fs::path in = temp.path() / "in", out = temp.path() / "out";
  write_folder(in);
  prune_model(Model::load(in.string() + "/"), out.string() + "/", half());
  const Model result = Model::load(out);
  EXPECT_EQ(values_of(result, "embed_tokens.weight"), (std::vector<float>{0.1f, 0.2f, 0.3f, 0.4f}));
  EXPECT_EQ(values_of(result, "a.weight"), (std::vector<float>{0, 0, 3, 4}));
  EXPECT_EQ(values_of(result, "b.weight"), (std::vector<float>{8, 7, 0, 0}));
  EXPECT_EQ(values_of(result, "a.bias"), (std::vector<float>{0.5f}));
  EXPECT_EQ(Model::load(out / "model-1.safetensors").metadata().at("shard"), "one");
  EXPECT_EQ(Model::load(out / "model-2.safetensors").metadata().at("shard"), "two");
  for (const char* name :
       {"model.safetensors.index.json", "config.json", "tokenizer.json", "extra/notes.txt"}) {
    EXPECT_EQ(read_file(out / name), read_file(in / name)) << name;
  }
  EXPECT_FALSE(fs::exists(out / ".git"));
  EXPECT_EQ(std::distance(fs::directory_iterator(temp.path()), fs::directory_iterator()), 2)
      << "something was left";
}

TEST(PruneModel, FilesBehindLinksAreCopied) {
  // As in the cache of the Hugging Face hub, where a model's folder holds links only.
  const TempFolder temp;
  write_folder(temp.path() / "blobs");
  fs::create_directories(temp.path() / "in");
  for (const auto& entry : fs::directory_iterator(temp.path() / "blobs")) {
    if (entry.is_regular_file()) {
      fs::create_symlink(entry.path(), temp.path() / "in" / entry.path().filename());
    }
  }
  prune_model(Model::load(temp.path() / "in"), temp.path() / "out", half());
  for (const auto& entry : fs::directory_iterator(temp.path() / "out")) EXPECT_FALSE(entry.is_symlink());
  EXPECT_EQ(read_file(temp.path() / "out" / "tokenizer.json"), "{}");
  EXPECT_EQ(values_of(Model::load(temp.path() / "blobs"), "a.weight"), (std::vector<float>{1, 2, 3, 4}));
}

TEST(PruneModel, OverwritesAModelFolderWhenAllowed) {
  const TempFolder temp;
  const fs::path in = temp.path() / "in", out = temp.path() / "out";
  write_folder(in);
  write_folder(out);
  temp.write("out/stale.txt", "old");
  PruneOptions options = half();
  options.overwrite = true;
  prune_model(Model::load(in), out, options);
  EXPECT_FALSE(fs::exists(out / "stale.txt"));
  EXPECT_EQ(values_of(Model::load(out), "a.weight"), (std::vector<float>{0, 0, 3, 4}));
  EXPECT_EQ(std::distance(fs::directory_iterator(temp.path()), fs::directory_iterator()), 2)
      << "something was left";
}

TEST(PruneModel, AnEmptyFolderIsFree) {
  const TempFolder temp;
  write_folder(temp.path() / "in");
  fs::create_directories(temp.path() / "out");
  prune_model(Model::load(temp.path() / "in"), temp.path() / "out", half());
  EXPECT_TRUE(fs::exists(temp.path() / "out" / "config.json"));
}

TEST(PruneModel, AnExistingFileIsReplaced) {
  const TempFolder temp;
  write_model(temp.path() / "in.safetensors", {{"a.weight", {1, 2}, {1, 2}}});
  temp.write("out.safetensors", "something else");
  prune_model(Model::load(temp.path() / "in.safetensors"), temp.path() / "out.safetensors", half());
  EXPECT_EQ(values_of(Model::load(temp.path() / "out.safetensors"), "a.weight"), (std::vector<float>{0, 2}));
}

TEST(PruneModel, OtherFormatsBecomeSafetensors) {
  const TempFolder temp;
  const fs::path in =
      temp.write("w.mtx", "%%MatrixMarket matrix coordinate real general\n2 2 3\n1 1 5\n1 2 1\n2 2 4\n");
  prune_model(Model::load(in), temp.path() / "w.safetensors", half());
  const Model result = Model::load(temp.path() / "w.safetensors");
  ASSERT_EQ(result.tensors().size(), 1u);
  EXPECT_EQ(values_of(result, result.tensors()[0].name), (std::vector<float>{5, 0, 0, 4}));
}

}  // namespace
}  // namespace cross
