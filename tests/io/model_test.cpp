#include "cross/model.h"

#include <gtest/gtest.h>

#include <memory>
#include <utility>

#include "io/npy.h"
#include "io/safetensors_bytes.h"
#include "io/safetensors_writer.h"
#include "refusal.h"
#include "temp_folder.h"

namespace cross {
namespace {

using testing::expect_refused;
using testing::safetensors_bytes;
using testing::TempFolder;

std::vector<float> values_of(const MatrixView& matrix) {
  std::vector<float> values;
  for (std::int64_t r = 0; r < matrix.rows; ++r)
    for (std::int64_t c = 0; c < matrix.cols; ++c) values.push_back(matrix.value(r, c));
  return values;
}

TEST(Model, holds_tensors_in_memory) {
  auto values = std::make_shared<const std::vector<float>>(std::vector<float>{1, 2, 3, 4, 5, 6});
  const std::weak_ptr<const std::vector<float>> watched = values;
  const auto bytes = std::as_bytes(std::span(*values));
  {
    const Model model =
        Model::of({{"fc.weight", StoredType::f32, {2, 3}, bytes, {}}}, "arrays", values, "{}");
    values.reset();
    EXPECT_EQ(model.path(), "arrays");
    EXPECT_EQ(model.config(), "{}");
    ASSERT_EQ(model.candidates().size(), 1u);
    EXPECT_TRUE(model.candidates()[0].selected);
    EXPECT_EQ(values_of(model.find("fc.weight")->matrix()), (std::vector<float>{1, 2, 3, 4, 5, 6}));
    EXPECT_FALSE(watched.expired());
  }
  EXPECT_TRUE(watched.expired());
}

TEST(Model, refuses_tensors_in_memory_that_contradict_themselves) {
  const std::vector<float> values(6);
  const auto bytes = std::as_bytes(std::span(values));
  const Tensor good{"w", StoredType::f32, {2, 3}, bytes, {}};
  expect_refused<UsageError>([&] { Model::of({good, good}, "arrays"); }, {"arrays", "two tensors", "\"w\""});
  expect_refused<UsageError>(
      [&] {
        Model::of({{"w", StoredType::f32, {2, 4}, bytes, {}}}, "arrays");
      },
      {"arrays", "\"w\"", "24 bytes", "F32", "[2, 4]"});
}

TEST(Model, maps_a_safetensors_file) {
  const TempFolder folder;
  const std::vector<float> values{1, 2, 3, 4, 5, 6};
  io::SafetensorsWriter writer(folder.path() / "m.safetensors", {{"fc.weight", StoredType::f32, {2, 3}}},
                               {{"k", "v"}});
  writer.append(std::as_bytes(std::span(values)));
  writer.commit();

  Model loaded = Model::load(folder.path() / "m.safetensors");
  const Tensor* const tensor = loaded.find("fc.weight");
  const Model model = std::move(loaded);
  ASSERT_NE(tensor, nullptr);
  EXPECT_EQ(model.find("fc.weight"), tensor);  // moving a model moves no tensor
  EXPECT_EQ(model.find("fc"), nullptr);
  EXPECT_EQ(values_of(tensor->matrix()), values);
  model.release(*tensor);
  EXPECT_EQ(values_of(tensor->matrix()), values);
  EXPECT_EQ(model.metadata().at("k"), "v");
  EXPECT_EQ(model.path(), folder.path() / "m.safetensors");
}

TEST(Model, reads_a_pattern_as_one_layer_named_after_its_file) {
  const Model model = Model::load(CROSS_SOURCE_DIR "/tests/data/tiny.smtx");
  ASSERT_EQ(model.tensors().size(), 1u);
  const Tensor& tensor = model.tensors()[0];
  EXPECT_EQ(tensor.name, "tiny.weight");
  EXPECT_EQ(tensor.type, StoredType::f32);
  EXPECT_EQ(tensor.shape, (std::vector<std::int64_t>{3, 4}));
  model.release(tensor);  // its memory has no file to come back from
  EXPECT_NE(tensor.matrix().bits(0, 1), 0u);
  EXPECT_TRUE(model.candidates().at(0).selected);
}

TEST(Model, the_seed_decides_the_values_of_a_pattern) {
  const auto load = [](std::uint64_t seed) {
    return values_of(Model::load(CROSS_SOURCE_DIR "/tests/data/tiny.smtx", {seed}).tensors()[0].matrix());
  };
  EXPECT_EQ(load(1), load(1));
  EXPECT_NE(load(1), load(2));
}

TEST(Model, reads_matrix_market) {
  const TempFolder folder;
  const Model model =
      Model::load(folder.write("w.mtx", "%%MatrixMarket matrix coordinate real general\n2 2 1\n2 1 3.5\n"));
  EXPECT_EQ(values_of(model.find("w.weight")->matrix()), (std::vector<float>{0, 0, 3.5f, 0}));
}

TEST(Model, reads_npy_in_either_order) {
  const TempFolder folder;
  const std::vector<float> values{1, 2, 3, 4, 5, 6};
  const auto path = folder.path() / "w.npy";
  io::write_npy(path, 3, 2, values);
  EXPECT_EQ(values_of(Model::load(path).find("w.weight")->matrix()), values);

  std::string file = testing::read_file(path);
  file.replace(file.find("False"), 5, "True ");
  const Model fortran = Model::load(folder.write("f.npy", file));
  EXPECT_EQ(values_of(fortran.find("f.weight")->matrix()), (std::vector<float>{1, 4, 2, 5, 3, 6}));
}

TEST(Model, an_npy_weight_must_have_two_dimensions) {
  const TempFolder folder;
  io::write_npy(folder.path() / "w.npy", 1, 2, std::vector<float>(2));
  std::string file = testing::read_file(folder.path() / "w.npy");
  file.replace(file.find("(1, 2)"), 6, "(2,)  ");
  expect_refused<InputError>([&] { Model::load(folder.write("v.npy", file)); },
                             {"v.npy", "1 dimensions", "[out, in]"});
}

TEST(Model, reads_stored_16_bit_weights) {
  const TempFolder folder;
  std::string file = safetensors_bytes(R"({"b":{"dtype":"BF16","shape":[1,1],"data_offsets":[0,2]},
                                           "h":{"dtype":"F16","shape":[1,1],"data_offsets":[2,4]}})",
                                       0);
  file += std::string("\x80\x3f\x00\xbc", 4);
  const Model model = Model::load(folder.write("m.safetensors", file));
  EXPECT_EQ(model.find("b")->matrix().value(0, 0), 1.0f);
  EXPECT_EQ(model.find("h")->matrix().value(0, 0), -1.0f);
}

TEST(Model, only_weights_are_matrices) {
  const TempFolder folder;
  const Model model = Model::load(folder.write(
      "m.safetensors", safetensors_bytes(R"({"i":{"dtype":"I64","shape":[1,1],"data_offsets":[0,8]},
                                             "v":{"dtype":"F32","shape":[2],"data_offsets":[8,16]}})",
                                         16)));
  expect_refused<InternalError>([&] { model.find("i")->matrix(); }, {"tensor i"});
  expect_refused<InternalError>([&] { model.find("v")->matrix(); }, {"tensor v"});
}

TEST(Model, a_path_that_is_no_model_is_a_usage_error) {
  const TempFolder folder;
  expect_refused<UsageError>([&] { Model::load(folder.path() / "none.safetensors"); },
                             {"none.safetensors", "no such file"});
  expect_refused<UsageError>([&] { Model::load(folder.write("m.bin", "x")); },
                             {"m.bin", ".safetensors, .smtx, .mtx, .npy"});
  expect_refused<UsageError>([&] { Model::load(folder.write("m", "x")); }, {"unknown kind of model"});
}

}  // namespace
}  // namespace cross
