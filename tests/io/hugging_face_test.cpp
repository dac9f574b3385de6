#include "io/hugging_face.h"

#include <gtest/gtest.h>

#include "cross/model.h"
#include "io/safetensors_bytes.h"
#include "prune/models.h"
#include "refusal.h"
#include "temp_folder.h"

namespace cross::io {
namespace {

using testing::expect_refused;
using testing::Mistake;
using testing::safetensors_bytes;
using testing::TempFolder;

std::string shard(const std::string& tensor, const std::string& metadata = "{}") {
  return safetensors_bytes(R"({"__metadata__":)" + metadata + R"(,")" + tensor +
                               R"(":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]}})",
                           8);
}

void write_index(const TempFolder& folder, const std::string& weight_map) {
  folder.write("model.safetensors.index.json",
               R"({"metadata":{"total_size":16},"weight_map":)" + weight_map + "}");
}

TEST(HuggingFaceFolder, reads_a_single_file_with_config) {
  const TempFolder folder;
  folder.write("model.safetensors", shard("a.weight", R"({"format":"pt"})"));
  folder.write("config.json", "{\"x\": 1}");
  const Model model = Model::load(folder.path());
  EXPECT_EQ(model.config(), "{\"x\": 1}");
  EXPECT_EQ(model.metadata().at("format"), "pt");
  ASSERT_EQ(model.tensors().size(), 1u);
  EXPECT_EQ(model.tensors()[0].file, folder.path() / "model.safetensors");
}

/// Conv1D of GPT-2: [in, out], and the only layers of that model.
TEST(HuggingFaceFolder, turns_weights_that_are_stored_inputs_first) {
  const TempFolder folder;
  std::vector<float> values(6);
  for (std::size_t i = 0; i < 6; ++i) values[i] = static_cast<float>(i);
  testing::write_model(folder.path() / "model.safetensors",
                       {{"transformer.h.0.attn.c_attn.weight", {2, 3}, values},
                        {"transformer.wte.weight", {2, 3}, values},
                        {"lm_head.weight", {2, 3}, values}});
  const auto turned = [&](const char* config) {
    folder.write("config.json", config);
    const Model model = Model::load(folder.path());
    EXPECT_EQ(model.find("transformer.wte.weight")->shape, (std::vector<std::int64_t>{2, 3}));
    EXPECT_EQ(testing::values_of(model, "lm_head.weight"), values);
    const Tensor& weight = *model.find("transformer.h.0.attn.c_attn.weight");
    if (!weight.turned) {
      EXPECT_EQ(weight.shape, (std::vector<std::int64_t>{2, 3}));
      return false;
    }
    EXPECT_EQ(weight.shape, (std::vector<std::int64_t>{3, 2}));
    EXPECT_EQ(testing::values_of(model, weight.name), (std::vector<float>{0, 3, 1, 4, 2, 5}));
    return true;
  };
  EXPECT_TRUE(turned(R"({"model_type": "gpt2"})"));
  EXPECT_TRUE(turned(R"({"model_type": "openai-gpt"})"));
  EXPECT_FALSE(turned(R"({"model_type": "gpt_neo", "_name_or_path": "gpt2"})"));
  EXPECT_FALSE(turned(R"({"_name_or_path": "gpt2"})"));
  EXPECT_FALSE(turned("{}"));
  folder.write("config.json", R"({"model_type": "gpt2")");
  expect_refused<InputError>([&] { Model::load(folder.path()); }, {"config.json"});
}

TEST(HuggingFaceFolder, reads_shards_in_the_order_of_their_names) {
  const TempFolder folder;
  folder.write("m-2.safetensors", shard("a", R"({"n":"2"})"));
  folder.write("m-1.safetensors", shard("b", R"({"n":"1"})"));
  write_index(folder, R"({"a":"m-2.safetensors","b":"m-1.safetensors"})");
  const Model model = Model::load(folder.path());
  ASSERT_EQ(model.tensors().size(), 2u);
  EXPECT_EQ(model.tensors()[0].name, "b");
  EXPECT_EQ(model.tensors()[1].file, folder.path() / "m-2.safetensors");
  EXPECT_EQ(model.metadata().at("n"), "1");
  EXPECT_EQ(model.config(), std::nullopt);
}

TEST(HuggingFaceFolder, follows_links_like_those_of_the_download_cache) {
  const TempFolder folder;
  folder.write("blobs/0123", shard("a"));
  std::filesystem::create_directory(folder.path() / "snapshot");
  std::filesystem::create_symlink("../blobs/0123", folder.path() / "snapshot" / "model.safetensors");
  EXPECT_EQ(Model::load(folder.path() / "snapshot").tensors().size(), 1u);
}

TEST(HuggingFaceFolder, a_folder_without_model_is_a_usage_error) {
  const TempFolder folder;
  folder.write("pytorch_model.bin", "x");
  expect_refused<UsageError>([&] { Model::load(folder.path()); }, {"neither model.safetensors nor"});
}

TEST(HuggingFaceFolder, a_missing_shard_is_named) {
  const TempFolder folder;
  folder.write("m-1.safetensors", shard("a"));
  write_index(folder, R"({"a":"m-1.safetensors","b":"m-2.safetensors"})");
  expect_refused<InputError>([&] { Model::load(folder.path()); },
                             {"index.json", "\"m-2.safetensors\"", "not in the folder"});
}

TEST(HuggingFaceFolder, a_tensor_in_two_shards_is_refused) {
  const TempFolder folder;
  folder.write("m-1.safetensors", shard("a"));
  folder.write("m-2.safetensors", safetensors_bytes(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},
                                     "b":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}})",
                                                    2));
  write_index(folder, R"({"a":"m-1.safetensors","b":"m-2.safetensors"})");
  expect_refused<InputError>([&] { Model::load(folder.path()); },
                             {"m-2.safetensors", "tensor \"a\" is also in \"m-1.safetensors\""});
}

TEST(HuggingFaceFolder, a_tensor_that_its_shard_lacks_is_refused) {
  const TempFolder folder;
  folder.write("m-1.safetensors", shard("a"));
  folder.write("m-2.safetensors", shard("b"));
  write_index(folder, R"({"a":"m-1.safetensors","b":"m-1.safetensors"})");
  expect_refused<InputError>([&] { Model::load(folder.path()); },
                             {"places tensor \"b\" in \"m-1.safetensors\", which has no such tensor"});
}

TEST(HuggingFaceFolder, an_endless_config_is_refused) {
  const TempFolder folder;
  folder.write("model.safetensors", shard("a"));
  std::filesystem::resize_file(folder.write("config.json", ""), 100'000'001);
  expect_refused<InputError>([&] { Model::load(folder.path()); },
                             {"config.json", "limit of 100000000 bytes"});
}

TEST(HuggingFaceFolder, a_damaged_shard_is_named) {
  const TempFolder folder;
  folder.write("m-1.safetensors", shard("a").substr(0, 50));
  write_index(folder, R"({"a":"m-1.safetensors"})");
  expect_refused<InputError>([&] { Model::load(folder.path()); }, {"m-1.safetensors: "});
}

class IndexMistake : public ::testing::TestWithParam<Mistake> {};

TEST_P(IndexMistake, is_refused) {
  expect_refused<InputError>([] { read_shard_index(GetParam().file, "i.json"); },
                             {"i.json: ", GetParam().message});
}

std::string map_to(const std::string& shard_name) { return R"({"weight_map":{"a":")" + shard_name + "\"}}"; }

INSTANTIATE_TEST_SUITE_P(
    Table, IndexMistake,
    ::testing::Values(Mistake{"empty", "", "the index is not valid JSON"},
                      Mistake{"array", "[]", "no weight_map"},
                      Mistake{"no_weight_map", "{}", "no weight_map"},
                      Mistake{"weight_map_array", R"({"weight_map":[]})", "no weight_map"},
                      Mistake{"weight_map_empty", R"({"weight_map":{}})", "weight_map is empty"},
                      Mistake{"file_not_string", R"({"weight_map":{"a":1}})", "weight_map \"a\" is number"},
                      Mistake{"parent", map_to("../x.safetensors"),
                              "\"../x.safetensors\"; it must be the name of a file"},
                      Mistake{"dots", map_to(".."), "must be the name of a file"},
                      Mistake{"absolute", map_to("/etc/passwd"), "\"/etc/passwd\""},
                      Mistake{"subfolder", map_to("sub/x.safetensors"), "without a path"},
                      Mistake{"backslash", map_to("..\\\\x"), "without a path"},
                      Mistake{"nul", map_to("x\\u0000y"), "without a path"},
                      Mistake{"no_name", map_to(""), "must be the name of a file"},
                      Mistake{"tensor_twice", R"({"weight_map":{"a":"x","a":"y"}})", "key \"a\" twice"},
                      Mistake{"weight_map_twice", R"({"weight_map":{"a":"x"},"weight_map":{}})", "twice"}),
    testing::name_of_mistake);

}  // namespace
}  // namespace cross::io
