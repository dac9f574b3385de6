// What is saved is what is loaded.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <memory>
#include <optional>

#include "cross/error.h"
#include "io/safetensors_reader.h"
#include "plan/description.h"
#include "refusal.h"
#include "support/make_plan.h"
#include "support/plan_bytes.h"
#include "temp_folder.h"

namespace cross {
namespace {

using testing::Array;
using testing::make_layer;
using testing::make_plan;
using testing::n_m_array;
using testing::PlanRecipe;
using testing::random_array;
using testing::read_file;
using testing::TempFolder;
using testing::Values;

void expect_equal(const Plan& a, const Plan& b) {
  EXPECT_EQ(plan_file::describe(a), plan_file::describe(b));
  ASSERT_EQ(a.layers.size(), b.layers.size());
  for (std::size_t i = 0; i < a.layers.size(); ++i) {
    EXPECT_EQ(a.layers[i].row_order, b.layers[i].row_order);
    EXPECT_EQ(a.layers[i].bias, b.layers[i].bias);
    ASSERT_EQ(a.layers[i].packings.size(), b.layers[i].packings.size());
    for (std::size_t p = 0; p < a.layers[i].packings.size(); ++p)
      EXPECT_TRUE(std::ranges::equal(a.layers[i].packings[p].data.bytes, b.layers[i].packings[p].data.bytes));
  }
}

/// A plan with everything in it: three layers, two packings, decisions.
Plan full_plan(DType dtype) {
  const Array w = n_m_array(1, dtype, 45, 700, 2, 4, Values::ordinary);
  Plan plan = make_plan(
      w, {.formats = {Format::index8, Format::bitmap, Format::n_m, Format::block, Format::dense_panel},
          .keep = 2,
          .group = 4,
          .panel_rows = 16,
          .segment_cols = 256,
          .reorder_rows = true,
          .bias = true});
  LayerPlan& first = plan.layers[0];
  const LayerPlan dense = make_layer(w, {.formats = {Format::dense}, .tokens = 1024});
  first.packings.push_back(dense.packings[0]);
  first.variants.push_back(dense.variants[0]);
  first.variants.back().packing = 1;
  first.decision.blocks_dense = 3;
  first.decision.blocks_empty = 7;
  first.decision.structure = "varies by row";
  first.decision.row_order = "by density";
  first.decision.candidates = {{"index8", 64, 1.5, 2.25, 4096, true, "fastest"},
                               {"dense onednn", 64, 3, 0, 0, false, ""}};
  first.decision.balance = {
      {64, 1.5, 1.25, 1.0625, 1.125, 1.375, {{1.5, 0.5}, {1.375, 0.625}}, {{1.0625, 0.9375}, {}}}};
  plan.layers.push_back(
      make_layer(random_array(2, dtype, 3, 5, 0.5, Values::ordinary), {.formats = {Format::dense}}));
  plan.layers[1].name = "model.\xc3\xa9\"\\/ layer";
  plan.layers.push_back(make_layer(random_array(2, dtype, 1, 1, 0.0, Values::ordinary), {}));
  plan.layers[2].name = "";
  return plan;
}

TEST(PlanFile, is_loaded_as_it_was_saved) {
  const TempFolder folder;
  const auto path = folder.path() / "model.cross";
  for (const DType dtype : {DType::fp32, DType::bf16}) {
    const Plan plan = full_plan(dtype);
    plan.save(path);
    const Plan loaded = Plan::load(path);
    expect_equal(plan, loaded);
    EXPECT_EQ(loaded.find("layer"), &loaded.layers[0]);
    EXPECT_EQ(loaded.find("model.\xc3\xa9\"\\/ layer"), &loaded.layers[1]);
    EXPECT_EQ(loaded.find("absent"), nullptr);
    EXPECT_GT(loaded.layers[0].packed_bytes(), 0u);

    const std::string bytes = read_file(path);
    expect_equal(plan, Plan::parse(testing::as_bytes(bytes), "memory"));
    loaded.save(path);
    EXPECT_EQ(read_file(path), bytes) << "equal plans are not equal files";
  }
}

TEST(PlanFile, is_the_same_in_memory) {
  const TempFolder folder;
  const auto path = folder.path() / "model.cross";
  const Plan plan = full_plan(DType::bf16);
  plan.save(path);
  auto bytes = std::make_shared<const std::vector<std::byte>>(plan.serialize());
  const std::string file = read_file(path);
  ASSERT_EQ(bytes->size(), file.size());
  EXPECT_EQ(std::memcmp(bytes->data(), file.data(), file.size()), 0);

  // The plan keeps what its bytes belong to.
  const std::weak_ptr<const std::vector<std::byte>> watched = bytes;
  std::optional<Plan> parsed = Plan::parse(*bytes, "memory", bytes);
  bytes.reset();
  EXPECT_FALSE(watched.expired());
  expect_equal(plan, *parsed);
  parsed.reset();
  EXPECT_TRUE(watched.expired());
}

TEST(PlanFile, of_an_earlier_build_knows_less_of_worker_loads) {
  const TempFolder folder;
  full_plan(DType::fp32).save(folder.path() / "p");
  testing::PlanParts parts = testing::open_plan(read_file(folder.path() / "p"));
  for (const char* field : {"measured_same", "before", "after"})
    parts.description["layers"][0]["decision"]["balance"][0].erase(field);
  const std::string bytes = testing::close_plan(parts);
  const Plan loaded = Plan::parse(testing::as_bytes(bytes), "memory");
  const auto& balance = loaded.layers[0].decision.balance[0];
  EXPECT_EQ(balance.measured, 1.125);
  EXPECT_EQ(balance.measured_same, 0);
  EXPECT_TRUE(balance.before.predicted.empty());
}

TEST(PlanFile, outlives_its_name) {
  // The file is mapped: it may be replaced or removed while the plan is in use.
  const TempFolder folder;
  const auto path = folder.path() / "model.cross";
  const Plan plan = full_plan(DType::fp32);
  plan.save(path);
  Plan copy;
  {
    const Plan loaded = Plan::load(path);
    std::filesystem::remove(path);
    copy = loaded;
  }
  expect_equal(plan, copy);
}

TEST(PlanFile, every_format_and_shape_survives) {
  const TempFolder folder;
  const auto path = folder.path() / "p";
  unsigned seed = 0;
  for (const DType dtype : {DType::fp32, DType::bf16})
    for (const Format format : {Format::dense, Format::dense_panel, Format::bitmap, Format::index8,
                                Format::n_m, Format::block, Format::empty})
      for (const auto& [rows, cols] : {std::pair{1, 1}, {3, 130}, {65, 257}}) {
        const Array w = format == Format::empty ? random_array(1, dtype, rows, cols, 0.0, Values::ordinary)
                                                : n_m_array(++seed, dtype, rows, cols, 2, 4, Values::extreme);
        const Plan plan = make_plan(w, {.formats = {format}, .keep = 2, .group = 4, .bias = rows == 3});
        plan.save(path);
        expect_equal(plan, Plan::load(path));
      }
}

TEST(PlanFile, is_ordinary_safetensors) {
  const TempFolder folder;
  full_plan(DType::fp32).save(folder.path() / "p");
  const std::string bytes = read_file(folder.path() / "p");
  const auto contents = io::read_safetensors(testing::as_bytes(bytes), "p");
  std::vector<std::string> names;
  for (const auto& tensor : contents.tensors) {
    names.push_back(tensor.name);
    if (tensor.type == StoredType::u8) {
      EXPECT_EQ((tensor.bytes.data() - testing::as_bytes(bytes).data()) % 64, 0)
          << "packed data is not aligned";
    }
  }
  EXPECT_EQ(names, (std::vector<std::string>{"layer.packing.0", "layer.packing.1",
                                             "model.\xc3\xa9\"\\/ layer.packing.0", ".packing.0",
                                             "layer.row_order", "layer.bias"}));
  EXPECT_EQ(contents.metadata.at("cross.plan_version"), "1");
}

TEST(PlanFile, a_name_that_is_no_text_is_written_with_replacements) {
  // File names can hold any byte; a plan of such a file must be loadable.
  const TempFolder folder;
  Plan plan = full_plan(DType::fp32);
  plan.source =
      "mod\xff"
      "el";
  plan.save(folder.path() / "p");
  EXPECT_EQ(Plan::load(folder.path() / "p").source,
            "mod\xef\xbf\xbd"
            "el");
}

TEST(PlanFile, a_price_that_is_no_number_is_written_as_unknown) {
  const TempFolder folder;
  Plan plan = full_plan(DType::fp32);
  plan.layers[0].decision.candidates[0].predicted_us = INFINITY;
  plan.layers[0].decision.balance[0].same = NAN;
  plan.save(folder.path() / "p");
  const Plan loaded = Plan::load(folder.path() / "p");
  EXPECT_EQ(loaded.layers[0].decision.candidates[0].predicted_us, 0.0);
  EXPECT_EQ(loaded.layers[0].decision.balance[0].same, 0.0);
}

TEST(PlanFile, is_written_completely_or_not_at_all) {
  const TempFolder folder;
  const Plan plan = full_plan(DType::fp32);
  EXPECT_THROW(plan.save(folder.path() / "absent" / "p"), Error);
  Plan twice = plan;
  twice.layers.push_back(twice.layers[0]);
  EXPECT_THROW(twice.save(folder.path() / "p"), Error) << "two layers of one name";
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

TEST(LayerPlan, picks_the_variant_for_a_token_count) {
  LayerPlan layer;
  EXPECT_THROW(layer.variant_for(1), InternalError);
  layer.variants.resize(3);
  layer.variants[0].tokens = 1;
  layer.variants[1].tokens = 16;
  layer.variants[2].tokens = 512;
  const std::pair<std::int64_t, std::int64_t> expected[] = {{0, 1},   {1, 1},    {2, 16},
                                                            {16, 16}, {17, 512}, {9999, 512}};
  for (const auto& [tokens, variant] : expected)
    EXPECT_EQ(layer.variant_for(tokens).tokens, variant) << tokens;
}

}  // namespace
}  // namespace cross
