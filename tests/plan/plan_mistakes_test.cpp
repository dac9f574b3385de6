// Damaged and hostile plan files: each is refused with a message that names the file and what is wrong.
#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <functional>
#include <random>

#include "cross/error.h"
#include "io/safetensors_bytes.h"
#include "kernels/isa.h"
#include "plan/description.h"
#include "refusal.h"
#include "support/make_plan.h"
#include "support/plan_bytes.h"
#include "temp_folder.h"

namespace cross {
namespace {

using nlohmann::json;
using testing::Array;
using testing::close_plan;
using testing::expect_refused;
using testing::make_layer;
using testing::make_plan;
using testing::open_plan;
using testing::PlanParts;
using testing::PlanRecipe;
using testing::random_array;
using testing::Values;

/// 20 × 300 in panels of 8, 8 and 4 rows and segments of at most 128 columns; bias and row order.
Plan small_plan() {
  const Array w = random_array(1, DType::fp32, 20, 300, 0.3, Values::ordinary);
  return make_plan(w, {.formats = {Format::index8, Format::bitmap, Format::block},
                       .panel_rows = 8,
                       .segment_cols = 128,
                       .reorder_rows = true,
                       .bias = true});
}

std::string file_of(const Plan& plan) {
  const testing::TempFolder folder;
  plan.save(folder.path() / "p");
  return testing::read_file(folder.path() / "p");
}

const std::string& good_file() {
  static const std::string file = file_of(small_plan());
  return file;
}

Plan parse(const std::string& file) { return Plan::parse(testing::as_bytes(file), "m.cross"); }

/// A plan file whose contents were changed and whose checksums are right.
struct Change {
  std::string name;
  std::function<void(PlanParts&)> change;
  std::vector<std::string> message;
};

void PrintTo(const Change& change, std::ostream* out) { *out << change.name; }

class PlanMistake : public ::testing::TestWithParam<Change> {};

TEST_P(PlanMistake, is_refused) {
  PlanParts parts = open_plan(good_file());
  GetParam().change(parts);
  std::vector<std::string> message = GetParam().message;
  message.emplace_back("m.cross: ");
  expect_refused<InputError>([&] { parse(close_plan(parts)); }, message);
}

json& layer(PlanParts& parts) { return parts.description["layers"][0]; }
json& panel(PlanParts& parts, std::size_t i) { return layer(parts)["packings"][0]["panels"][i]; }
json& segment(PlanParts& parts, std::size_t i) { return panel(parts, 0)["segments"][i]; }
json& variant(PlanParts& parts) { return layer(parts)["variants"][0]; }

/// Sets one field of something inside the description.
std::function<void(PlanParts&)> set(json& (*where)(PlanParts&), const std::string& field, const json& value) {
  return [=](PlanParts& parts) { where(parts)[field] = value; };
}
json& root(PlanParts& parts) { return parts.description; }
json& first_panel(PlanParts& parts) { return panel(parts, 0); }

// A segment is [format, k_begin, k_end, offset, bytes, keep, group].
std::function<void(PlanParts&)> set_segment(std::size_t i, std::size_t field, const json& value) {
  return [=](PlanParts& parts) { segment(parts, i)[field] = value; };
}

INSTANTIATE_TEST_SUITE_P(
    Description, PlanMistake,
    ::testing::Values(
        Change{"not_an_object", [](PlanParts& p) { p.description = json::array(); }, {"is not an object"}},
        Change{"no_device", [](PlanParts& p) { p.description.erase("device"); }, {"\"device\" is missing"}},
        Change{"device_is_a_number", set(root, "device", 3), {"\"device\" is 3; it must be a string"}},
        Change{"dtype_unknown", set(root, "dtype", "fp64"), {"\"dtype\" is \"fp64\"", "one of"}},
        Change{"dtype_fp16", set(root, "dtype", "fp16"), {"\"dtype\" is \"fp16\"", "fp32, bf16"}},
        Change{"no_threads", set(root, "threads", 0), {"\"threads\" is 0; it must be an integer from 1"}},
        Change{"threads_negative", set(root, "threads", -1), {"\"threads\" is -1"}},
        Change{"threads_fraction", set(root, "threads", 1.5), {"\"threads\" is 1.5"}},
        Change{"threads_huge",
               set(root, "threads", std::uint64_t{1} << 63),
               {"\"threads\" is 9223372036854775808"}},
        Change{"layers_not_array", set(root, "layers", "x"), {"\"layers\" is \"x\"; it must be an array"}},
        Change{"layer_without_name",
               [](PlanParts& p) { layer(p).erase("name"); },
               {"a layer: \"name\" is missing"}},
        Change{"rows_0", set(layer, "rows", 0), {"layer \"layer\": \"rows\" is 0"}},
        Change{"rows_2_31", set(layer, "rows", std::int64_t{1} << 31), {"\"rows\" is 2147483648"}},
        Change{"cols_2_31", set(layer, "cols", std::int64_t{1} << 31), {"\"cols\" is 2147483648"}},
        Change{"nnz_above_all",
               set(layer, "nnz", 6001),
               {"\"nnz\" is 6001; it must be an integer from 0 to 6000"}},
        Change{"bias_is_a_number", set(layer, "bias", 1), {"\"bias\" is 1; it must be true or false"}},
        Change{"no_packing", set(layer, "packings", json::array()), {"no packing or no variant"}},
        Change{"no_variant", set(layer, "variants", json::array()), {"no packing or no variant"}},
        Change{"no_decision", [](PlanParts& p) { layer(p).erase("decision"); }, {"\"decision\" is missing"}},
        Change{"worker_loads_are_text",
               [](PlanParts& p) {
                 layer(p)["decision"]["balance"] = {
                     {{"tokens", 1},
                      {"same", 1},
                      {"paired", 1},
                      {"longest_first", 1},
                      {"measured", 1},
                      {"before", {{"predicted", {"x"}}, {"measured", json::array()}}}}};
               },
               {"balance before: \"predicted\" is \"x\"; it must be an array of numbers"}},
        Change{"arithmetic_unknown",
               [](PlanParts& p) { layer(p)["packings"][0]["arithmetic"] = "int8"; },
               {"\"arithmetic\" is \"int8\""}},
        Change{"arithmetic_of_another_dtype",
               [](PlanParts& p) { layer(p)["packings"][0]["arithmetic"] = "bf16_widened"; },
               {"arithmetic does not fit the plan's dtype"}},
        Change{"two_layers_of_one_name",
               [](PlanParts& p) { p.description["layers"].push_back(p.description["layers"][0]); },
               {"layer \"layer\"", "twice"}}),
    [](const auto& change) { return change.param.name; });

INSTANTIATE_TEST_SUITE_P(
    Panels, PlanMistake,
    ::testing::Values(
        Change{"rows_0", set(first_panel, "rows", 0), {"\"rows\" is 0"}},
        Change{"hole", [](PlanParts& p) { panel(p, 1)["row_begin"] = 9; }, {"hole or overlap at row 8"}},
        Change{"overlap", [](PlanParts& p) { panel(p, 1)["row_begin"] = 7; }, {"hole or overlap at row 8"}},
        Change{"too_few",
               [](PlanParts& p) { layer(p)["packings"][0]["panels"].erase(2); },
               {"row panels end at row 16, not 20"}},
        Change{"too_many_rows", [](PlanParts& p) { panel(p, 2)["rows"] = 5; }, {"layer \"layer\""}},
        Change{"no_panels_is_a_dense_matrix",
               [](PlanParts& p) { layer(p)["packings"][0]["panels"] = json::array(); },
               {"the dense matrix has", "20x300 fp32 needs 24000"}}),
    [](const auto& change) { return change.param.name; });

INSTANTIATE_TEST_SUITE_P(
    Segments, PlanMistake,
    ::testing::Values(
        Change{"not_an_array", [](PlanParts& p) { segment(p, 0) = 7; }, {"a segment must be [format"}},
        Change{"too_short",
               [](PlanParts& p) {
                 segment(p, 0) = {"index8", 0, 128};
               },
               {"a segment must be [format"}},
        Change{"format_unknown", set_segment(0, 0, "csr"), {"unknown format \"csr\""}},
        Change{"format_dense", set_segment(0, 0, "dense"), {"\"dense\" is no segment format"}},
        Change{"begin_negative", set_segment(0, 1, -1), {"field 1 of a segment"}},
        Change{"begin_unaligned", set_segment(1, 1, 129), {"must start at a multiple of 128"}},
        Change{"end_fraction", set_segment(0, 2, 127.5), {"field 2 of a segment"}},
        Change{"end_2_64", set_segment(0, 2, ~std::uint64_t{0}), {"field 2 of a segment"}},
        Change{"overlap", set_segment(1, 1, 0), {"segment [0, 256) of the panel at row 0", "overlaps"}},
        Change{"backwards", set_segment(0, 2, 0), {"segment [0, 0)"}},
        Change{"past_the_last_column", set_segment(2, 2, 301), {"segment [256, 301)", "leaves the matrix"}},
        Change{"offset_unaligned", set_segment(0, 3, 2), {"bytes [2, +"}},
        Change{"offset_outside", set_segment(0, 3, 1 << 30), {"bytes [1073741824, +", "leave the"}},
        Change{"bytes_outside", set_segment(2, 4, 1 << 30), {"+1073741824) leave the"}},
        Change{"bytes_too_few",
               set_segment(0, 4, 100),
               {"segment [0, 128) of the panel at row 0", "past the end"}},
        Change{"keep_without_n_m", set_segment(0, 5, 2), {"keep 2 of group 0 does not fit format index8"}},
        Change{"n_m_without_group", set_segment(0, 0, "n_m"), {"keep 0 of group 0 does not fit format n_m"}},
        Change{"group_too_wide",
               [](PlanParts& p) { segment(p, 0) = {"n_m", 0, 128, 0, 4, 2, 33}; },
               {"keep and group of a segment are at most 32"}},
        Change{"empty_with_bytes", set_segment(0, 0, "empty"), {"bytes, 0 used"}},
        Change{"another_format", set_segment(0, 0, "bitmap"), {"segment [0, 128) of the panel at row 0"}},
        Change{"data_damaged",
               [](PlanParts& p) { p.tensor("layer.packing.0").bytes[4] ^= 1; },
               {"K block at 0"}},
        Change{"data_cut_short",
               [](PlanParts& p) {
                 auto& tensor = p.tensor("layer.packing.0");
                 tensor.shape[0] = 63;
                 tensor.bytes.resize(63);
               },
               {"lacks its 64 trailing bytes"}},
        Change{"data_not_a_multiple_of_64",
               [](PlanParts& p) {
                 auto& tensor = p.tensor("layer.packing.0");
                 tensor.bytes += '\0';
                 ++tensor.shape[0];
               },
               {"multiple of 64"}}),
    [](const auto& change) { return change.param.name; });

std::function<void(PlanParts&)> add_piece(const json& piece) {
  return [=](PlanParts& parts) { variant(parts)["schedule"][0].push_back(piece); };
}

INSTANTIATE_TEST_SUITE_P(
    Variants, PlanMistake,
    ::testing::Values(
        Change{"tokens_0", set(variant, "tokens", 0), {"\"tokens\" is 0"}},
        Change{"tokens_twice",
               [](PlanParts& p) { layer(p)["variants"].push_back(variant(p)); },
               {"the token counts of its variants do not ascend"}},
        Change{"packing_absent", set(variant, "packing", 1), {"a variant names packing 1 of 1"}},
        Change{"shape_unknown", set(variant, "shape", "wide"), {"shape must be \"tile\" or \"dot\""}},
        Change{"dot_of_block", set(variant, "shape", "dot"), {"shape \"dot\" cannot run format block"}},
        Change{"library_of_packed", set(variant, "shape", "library"), {"shape must be \"tile\" or \"dot\""}},
        Change{"item_tokens_0", set(variant, "item_tokens", 0), {"item_tokens and scheduled_items"}},
        Change{"no_items", set(variant, "scheduled_items", 0), {"item_tokens and scheduled_items"}},
        Change{"items_missing", set(variant, "scheduled_items", 3), {"the schedule leaves out a panel"}},
        Change{"items_absurd", set(variant, "scheduled_items", 1 << 24), {"\"scheduled_items\" is 16777216"}},
        Change{
            "schedule_empty", set(variant, "schedule", json::array()), {"the schedule leaves out a panel"}},
        Change{"schedule_leaves_out",
               [](PlanParts& p) { variant(p)["schedule"][1].erase(0); },
               {"the schedule leaves out a panel"}},
        Change{"piece_twice", add_piece({0, 0}), {"the schedule runs item 0, panel 0 twice"}},
        Change{"panel_absent", add_piece({0, 3}), {"the schedule names item 0, panel 3"}},
        Change{"item_absent", add_piece({2, 0}), {"the schedule names item 2, panel 0"}},
        Change{"panel_2_31", add_piece({0, std::int64_t{1} << 31}), {"\"schedule\" must hold pairs"}},
        Change{"item_2_31", add_piece({std::int64_t{1} << 31, 0}), {"\"schedule\" must hold pairs"}},
        Change{"item_negative", add_piece({-1, 0}), {"\"schedule\" must hold pairs"}},
        Change{"worker_is_a_number",
               [](PlanParts& p) { variant(p)["schedule"].push_back(5); },
               {"\"schedule\" must hold an array"}},
        Change{"worker_is_an_object",
               [](PlanParts& p) {
                 variant(p)["schedule"].push_back({{"0", {0, 0}}});
               },
               {"\"schedule\" must hold"}},
        Change{"piece_of_three", add_piece({0, 0, 0}), {"\"schedule\" must hold pairs"}}),
    [](const auto& change) { return change.param.name; });

std::function<void(PlanParts&)> set_first_row(std::int32_t row) {
  return
      [=](PlanParts& parts) { std::memcpy(parts.tensor("layer.row_order").bytes.data(), &row, sizeof row); };
}

INSTANTIATE_TEST_SUITE_P(
    Tensors, PlanMistake,
    ::testing::Values(
        Change{"version_2",
               [](PlanParts& p) { p.version.assign(1, '2'); },
               {"a plan of version \"2\"", "reads version 1"}},
        Change{
            "checksums_absent", [](PlanParts& p) { p.description.erase("checksums"); }, {"no \"checksums\""}},
        Change{"checksum_absent",
               [](PlanParts& p) { p.description["checksums"].erase("layer.bias"); },
               {"tensor \"layer.bias\" has no checksum"}},
        Change{"packing_absent",
               [](PlanParts& p) { p.tensors.erase(p.tensors.begin()); },
               {"tensor \"layer.packing.0\" is missing"}},
        Change{
            "bias_absent", [](PlanParts& p) { p.tensors.pop_back(); }, {"tensor \"layer.bias\" is missing"}},
        Change{"unknown_tensor",
               [](PlanParts& p) {
                 p.tensors.push_back({"extra", "U8", {1}, "x"});
               },
               {"tensor \"extra\" has no checksum"}},
        Change{"bias_of_integers",
               [](PlanParts& p) { p.tensor("layer.bias").type = "I32"; },
               {"tensor \"layer.bias\" must be one-dimensional F32"}},
        Change{"bias_of_two_dimensions",
               [](PlanParts& p) {
                 p.tensor("layer.bias").shape = {4, 5};
               },
               {"must be one-dimensional"}},
        Change{"bias_too_short",
               [](PlanParts& p) {
                 p.tensor("layer.bias").shape = {19};
                 p.tensor("layer.bias").bytes.resize(76);
               },
               {"tensor \"layer.bias\" has 19 values for 20 rows"}},
        Change{"bias_without_values",
               [](PlanParts& p) {
                 p.tensor("layer.bias").shape = {0};
                 p.tensor("layer.bias").bytes.clear();
               },
               {"tensor \"layer.bias\" has 0 values for 20 rows"}},
        Change{"row_order_too_short",
               [](PlanParts& p) {
                 p.tensor("layer.row_order").shape = {19};
                 p.tensor("layer.row_order").bytes.resize(76);
               },
               {"tensor \"layer.row_order\" has 19 values for 20 rows"}},
        Change{"row_order_without_values",
               [](PlanParts& p) {
                 p.tensor("layer.row_order").shape = {0};
                 p.tensor("layer.row_order").bytes.clear();
               },
               {"tensor \"layer.row_order\" has 0 values for 20 rows"}},
        Change{"row_order_twice", set_first_row(3), {"row_order is no permutation: row 3"}},
        Change{"row_order_outside", set_first_row(20), {"row_order is no permutation: row 20"}},
        Change{"row_order_negative", set_first_row(-1), {"row_order is no permutation: row -1"}},
        Change{"bytes_of_a_packing_unaligned",
               [](PlanParts& p) {
                 // An odd tensor in front moves all others.
                 p.tensors.insert(p.tensors.begin(), {"pad", "U8", {1}, "x"});
                 p.description["checksums"]["pad"] = "";
               },
               {"must start at a multiple of"}}),
    [](const auto& change) { return change.param.name; });

TEST(PlanMistakes, the_unchanged_parts_are_accepted) {
  EXPECT_EQ(plan_file::describe(parse(close_plan(open_plan(good_file())))),
            plan_file::describe(small_plan()));
}

TEST(PlanMistakes, a_wrong_device_is_a_device_error) {
#ifdef CROSS_HAS_CUDA
  GTEST_SKIP() << "this build has both devices";
#endif
  PlanParts parts = open_plan(good_file());
  parts.description["device"] = "cuda";
  parts.description["sm"] = 90;
  parts.description["sms"] = 132;
  expect_refused<DeviceError>([&] { parse(close_plan(parts)); },
                              {"m.cross: ", "device \"cuda\"", "--device cpu"});
}

TEST(PlanMistakes, a_plan_for_another_cpu_is_a_device_error) {
  const Array w = random_array(1, DType::bf16, 4, 4, 1.0, Values::ordinary);
  Plan plan = make_plan(w, {});
  plan.layers[0].packings[0].arithmetic = PlanArithmetic::bf16_pair;
  plan.compiled_on = "Genoa";
  // Whatever this CPU has, for this call it is a plain one.
  ::setenv("CROSS_ISA", "scalar", 1);
  expect_refused<DeviceError>(
      [&] { parse(file_of(plan)); },
      {"m.cross: ", "AVX512_BF16", "Genoa", "this one has scalar", "compile the model again"});
  ::unsetenv("CROSS_ISA");
}

TEST(PlanMistakes, what_is_no_plan_is_refused) {
  expect_refused<InputError>([] { parse(testing::safetensors_bytes("{}", 0)); },
                             {"m.cross: is no plan", "cross.plan_version", "cross compile"});
  expect_refused<InputError>([] { parse("PK\x03\x04 something else altogether"); }, {"m.cross: "});
  expect_refused<UsageError>([] { Plan::load("/nonexistent/m.cross"); }, {"/nonexistent/m.cross"});
}

TEST(PlanMistakes, a_description_that_is_no_json_is_refused) {
  const PlanParts parts = open_plan(good_file());
  for (const std::string& text : {std::string("{"), std::string(), std::string(100'000, '['),
                                  std::string(R"({"device":"cpu","device":"cpu"})"), std::string("null")})
    expect_refused<InputError>([&] { parse(close_plan(parts, text)); }, {"m.cross: the description"});
}

TEST(PlanMistakes, a_wrong_checksum_is_named) {
  std::string damaged = good_file();
  damaged.back() = static_cast<char>(damaged.back() ^ 1);
  expect_refused<InputError>([&] { parse(damaged); },
                             {"m.cross: tensor \"layer.bias\" is damaged: its checksum is", "the file says"});
  damaged = good_file();
  damaged[damaged.find("layer")] = 'L';
  expect_refused<InputError>([&] { parse(damaged); }, {"m.cross: "});
  damaged = good_file();
  damaged[damaged.find("made for a test")] = 'M';
  expect_refused<InputError>([&] { parse(damaged); }, {"m.cross: the description is damaged"});
}

TEST(PlanMistakes, every_truncation_is_refused) {
  const std::string& file = good_file();
  for (std::size_t size = 0; size < file.size(); size += 1 + size / 50)
    expect_refused<InputError>([&] { parse(file.substr(0, size)); }, {"m.cross: "});
  expect_refused<InputError>([&] { parse(file.substr(0, file.size() - 1)); }, {"m.cross: "});
  expect_refused<InputError>([&] { parse(file + '\0'); }, {"m.cross: "});
}

TEST(PlanMistakes, no_flipped_bit_goes_unnoticed) {
  // All bits of the first kilobyte, then a sample. The only harmless ones are in what no one reads.
  const std::string& file = good_file();
  const json expected = plan_file::describe(small_plan());
  std::mt19937_64 random(1);
  int harmless = 0;
  for (std::size_t bit = 0; bit < file.size() * 8;
       bit += bit < 2400 ? 8 + random() % 4 : random() % (file.size() / 40)) {
    std::string damaged = file;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << bit % 8));
    try {
      EXPECT_EQ(plan_file::describe(parse(damaged)), expected) << "bit " << bit << " changes the plan";
      ++harmless;
    } catch (const Error& error) {
      EXPECT_NE(error.exit_code(), ExitCode::internal_error) << error.what();
      EXPECT_NE(std::string(error.what()).find("m.cross"), std::string::npos) << error.what();
    }
  }
  EXPECT_LT(harmless, 40);
}

}  // namespace
}  // namespace cross
