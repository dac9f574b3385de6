#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "cross/model.h"
#include "io/safetensors_bytes.h"
#include "refusal.h"
#include "temp_folder.h"

namespace cross {
namespace {

using testing::expect_refused;
using testing::TempFolder;

struct Row {
  std::string name, type;
  std::vector<std::int64_t> shape;
  bool selected;
  std::string reason;
};

Model model_of(const TempFolder& folder, const std::vector<Row>& rows) {
  nlohmann::json header = nlohmann::json::object();
  std::size_t end = 0;
  for (const Row& row : rows) {
    std::size_t bytes = row.type == "F32" ? 4 : row.type == "I64" ? 8 : row.type == "F8_E4M3" ? 1 : 2;
    for (const auto dimension : row.shape) bytes *= static_cast<std::size_t>(dimension);
    header[row.name] = {{"dtype", row.type}, {"shape", row.shape}, {"data_offsets", {end, end + bytes}}};
    end += bytes;
  }
  return Model::load(folder.write("m.safetensors", testing::safetensors_bytes(header.dump(), end)));
}

void expect_decisions(const Model& model, const std::vector<Row>& rows, const Selection& selection) {
  const auto candidates = model.candidates(selection);
  EXPECT_EQ(candidates.size(), rows.size());
  for (const Row& row : rows)
    for (const Candidate& candidate : candidates)
      if (candidate.tensor->name == row.name) {
        EXPECT_EQ(candidate.selected, row.selected) << row.name;
        EXPECT_EQ(candidate.reason, row.reason) << row.name;
      }
}

TEST(Candidates, are_the_weights_of_linear_layers) {
  const TempFolder folder;
  const std::vector<Row> rows{
      {"model.layers.0.q_proj.weight", "F32", {2, 3}, true, "2-D weight"},
      {"model.layers.0.k_proj.weight", "F16", {2, 3}, true, "2-D weight"},
      {"model.layers.0.v_proj.weight", "BF16", {2, 3}, true, "2-D weight"},
      {"lm_head.weight", "F32", {2, 3}, true, "2-D weight"},
      {"embed_out.weight", "F32", {2, 3}, true, "2-D weight"},
      {"mlp.shared_expert.up.weight", "F32", {2, 3}, true, "2-D weight"},
      {"model.layers.0.q_proj.bias", "F32", {3}, false, "not 2-D"},
      {"conv.weight", "F32", {1, 1, 2, 2}, false, "not 2-D"},
      {"position_ids", "I64", {1, 2}, false, "I64 is not F32, F16 or BF16"},
      {"quantised.weight", "F8_E4M3", {2, 3}, false, "F8_E4M3 is not F32, F16 or BF16"},
      {"empty.weight", "F32", {0, 3}, false, "no rows or no columns"},
      {"thin.weight", "F32", {3, 0}, false, "no rows or no columns"},
      {"model.embed_tokens.weight", "F32", {2, 3}, false, "embedding"},
      {"bert.embeddings.word_embeddings.weight", "F32", {2, 3}, false, "embedding"},
      {"transformer.wte.weight", "F32", {2, 3}, false, "embedding"},
      {"wpe.weight", "F32", {2, 3}, false, "embedding"},
      {"shared.weight", "F32", {2, 3}, false, "embedding"},
      {"SelfAttention.relative_attention_bias.weight", "F32", {2, 3}, false, "embedding"},
      {"final_layer_norm.weight", "F32", {2, 3}, false, "norm"},
      {"LayerNorm.weight", "F32", {2, 3}, false, "norm"},
      {"h.0.ln_1.weight", "F32", {2, 3}, false, "norm"},
      {"q_proj.lora_A", "F32", {2, 3}, false, "name does not end in .weight"},
  };
  expect_decisions(model_of(folder, rows), rows, {});
}

TEST(Candidates, includes_name_tensors_or_layers_and_excludes_win) {
  const TempFolder folder;
  const std::vector<Row> rows{
      {"embed.weight", "F32", {2, 3}, true, "--include embed"},
      {"a.fc1.weight", "F32", {2, 3}, true, "--include *.fc?.weight"},
      {"a.fc2.weight", "F32", {2, 3}, false, "--exclude *.fc2"},
      {"a.out.weight", "F32", {2, 3}, false, "no --include matches"},
      {"raw_matrix", "F32", {2, 3}, true, "--include raw*"},
      {"a.fc1.bias", "F32", {3}, false, "not 2-D"},
  };
  expect_decisions(model_of(folder, rows), rows, {{"embed", "*.fc?.weight", "raw*", "*.bias"}, {"*.fc2"}});
}

TEST(Candidates, a_glob_that_matches_nothing_is_a_usage_error) {
  const TempFolder folder;
  const Model model =
      model_of(folder, {{"a.weight", "F32", {2, 3}, true, ""}, {"b.weight", "F32", {2, 3}, true, ""}});
  expect_refused<UsageError>(
      [&] {
        model.candidates({{"*", "q*"}, {}});
      },
      {"--include q*", "\"a.weight\", \"b.weight\""});
  expect_refused<UsageError>([&] { model.candidates({{}, {"A.weight"}}); }, {"--exclude A.weight"});
}

TEST(LayerName, is_the_tensor_name_without_its_last_part) {
  EXPECT_EQ(layer_name("a.b.weight"), "a.b");
  EXPECT_EQ(layer_name("a.bias"), "a.bias");
  EXPECT_EQ(layer_name("weight"), "weight");
  EXPECT_EQ(layer_name("a.weight.weight"), "a.weight");
}

}  // namespace
}  // namespace cross
