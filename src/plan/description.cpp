#include "plan/description.h"

#include <fmt/format.h>

#include <cmath>
#include <limits>
#include <set>

#include "base/json_fields.h"
#include "base/quote.h"
#include "cross/error.h"

namespace cross::plan_file {
namespace {

using base::Fields;
using nlohmann::json;

constexpr std::string_view arithmetic_names[] = {"fp32", "bf16_widened", "bf16_pair", "mma"};

/// Rows, columns and indices are counted in `int` by the kernels.
constexpr std::int64_t max_extent = std::numeric_limits<std::int32_t>::max();
constexpr std::int64_t max_bytes = std::int64_t{1} << 50;

template <class T, std::size_t Size>
T from_names(const Fields& fields, const char* field, const std::string_view (&names)[Size]) {
  const std::string text = fields.text(field);
  for (std::size_t i = 0; i < Size; ++i)
    if (names[i] == text) return static_cast<T>(i);
  fields.wrong(field, fields.at(field), fmt::format("one of {}", fmt::join(names, ", ")));
}

/// Segments are arrays, one of seven values each: there are many of them.
json segment_json(const Segment& s) {
  return json::array({name_of(s.format), s.k_begin, s.k_end, s.offset, s.bytes, s.keep, s.group});
}

Segment read_segment(const json& value, const std::string& where) {
  const auto bad = [&](const std::string& why) { return InputError(fmt::format("{}: {}", where, why)); };
  if (!value.is_array() || value.size() != 7 || !value[0].is_string())
    throw bad("a segment must be [format, k_begin, k_end, offset, bytes, keep, group]");
  std::int64_t number[7] = {};
  for (std::size_t i = 1; i < 7; ++i) {
    if (!value[i].is_number_unsigned() ||
        value[i].get<std::uint64_t>() > static_cast<std::uint64_t>(max_bytes))
      throw bad(fmt::format("field {} of a segment is not a non-negative integer in range", i));
    number[i] = value[i].get<std::int64_t>();
  }
  const auto format = format_from_name(value[0].get<std::string>());
  if (!format) throw bad(fmt::format("unknown format {}", base::in_quotes(value[0].get<std::string>())));
  if (*format == Format::dense) throw bad("\"dense\" is no segment format");
  Segment segment;
  segment.format = *format;
  segment.k_begin = number[1];
  segment.k_end = number[2];
  segment.offset = static_cast<std::uint64_t>(number[3]);
  segment.bytes = static_cast<std::uint64_t>(number[4]);
  if (number[5] > 32 || number[6] > 32) throw bad("keep and group of a segment are at most 32");
  segment.keep = static_cast<int>(number[5]);
  segment.group = static_cast<int>(number[6]);
  const bool n_m = *format == Format::n_m;
  if (n_m ? (segment.group < 1 || segment.keep < 1 || segment.keep > segment.group)
          : (segment.keep != 0 || segment.group != 0))
    throw bad(fmt::format("keep {} of group {} does not fit format {}", segment.keep, segment.group,
                          name_of(*format)));
  return segment;
}

json panel_json(const Panel& panel) {
  json segments = json::array();
  for (const Segment& segment : panel.segments) segments.push_back(segment_json(segment));
  return {{"row_begin", panel.row_begin}, {"rows", panel.rows}, {"segments", segments}};
}

/// @param most_rows CPU panels are small; a CUDA plan has one of all rows.
Panel read_panel(const json& value, const std::string& where, std::int64_t most_rows) {
  const Fields fields(value, where);
  Panel panel;
  panel.row_begin = fields.integer("row_begin", 0, max_extent);
  panel.rows = static_cast<int>(fields.integer("rows", 1, most_rows));
  for (const json& segment : fields.array("segments")) panel.segments.push_back(read_segment(segment, where));
  return panel;
}

json variant_json(const Variant& v) {
  json schedule = json::array();
  for (const auto& worker : v.schedule) {
    json pieces = json::array();
    for (const PlanPiece& piece : worker) pieces.push_back({piece.item, piece.panel});
    schedule.push_back(pieces);
  }
  json result = {{"tokens", v.tokens},
                 {"packing", v.packing},
                 {"shape", v.shape},
                 {"library", v.library},
                 {"policy", v.policy},
                 {"item_tokens", v.item_tokens},
                 {"scheduled_items", v.scheduled_items},
                 {"schedule", schedule}};
  if (!v.algorithm.empty()) result["algorithm"] = v.algorithm;
  return result;
}

Variant read_variant(const json& value, const std::string& where) {
  const Fields fields(value, where);
  Variant v;
  v.tokens = fields.integer("tokens", 1, max_extent);
  v.packing = static_cast<int>(fields.integer("packing", 0, 1 << 10));
  v.shape = fields.text("shape");
  v.library = fields.text("library");
  v.policy = fields.text("policy");
  if (value.contains("algorithm")) v.algorithm = fields.text("algorithm");
  v.item_tokens = static_cast<int>(fields.integer("item_tokens", 0, 1 << 20));
  v.scheduled_items = static_cast<int>(fields.integer("scheduled_items", 0, 1 << 20));
  for (const json& worker : fields.array("schedule")) {
    if (!worker.is_array())
      throw InputError(fmt::format("{}: \"schedule\" must hold an array per worker", where));
    std::vector<PlanPiece> pieces;
    for (const json& piece : worker) {
      if (!piece.is_array() || piece.size() != 2 || !piece[0].is_number_unsigned() ||
          !piece[1].is_number_unsigned() || piece[0].get<std::uint64_t>() > max_extent ||
          piece[1].get<std::uint64_t>() > max_extent)
        throw InputError(fmt::format("{}: \"schedule\" must hold pairs [item, panel]", where));
      pieces.push_back({piece[0].get<int>(), piece[1].get<int>()});
    }
    v.schedule.push_back(std::move(pieces));
  }
  return v;
}

/// Plans of earlier builds have none.
LayerDecision::WorkerLoads read_loads(const Fields& balance, const char* field) {
  LayerDecision::WorkerLoads loads;
  if (!balance.has(field)) return loads;
  const Fields of(balance.at(field), fmt::format("{} {}", balance.where(), field));
  for (const auto& [name, list] :
       {std::pair("predicted", &loads.predicted), std::pair("measured", &loads.measured)})
    for (const json& load : of.array(name)) {
      if (!load.is_number()) of.wrong(name, load, "an array of numbers");
      list->push_back(load.get<double>());
    }
  return loads;
}

LayerDecision read_decision(const json& value, const std::string& where) {
  const Fields fields(value, where);
  LayerDecision d;
  constexpr std::int64_t most = 1 << 30;
  d.blocks_dense = static_cast<int>(fields.integer("blocks_dense", 0, most));
  d.blocks_swing = static_cast<int>(fields.integer("blocks_swing", 0, most));
  d.blocks_sparse = static_cast<int>(fields.integer("blocks_sparse", 0, most));
  d.blocks_empty = static_cast<int>(fields.integer("blocks_empty", 0, most));
  d.structure = fields.text("structure");
  d.row_order = fields.text("row_order");
  for (const json& entry : fields.array("candidates")) {
    const Fields c(entry, where + " candidates");
    d.candidates.push_back({c.text("name"), c.integer("tokens", 0, max_extent), c.number("predicted_us"),
                            c.number("measured_us"),
                            static_cast<std::uint64_t>(c.integer("bytes", 0, max_bytes)), c.boolean("chosen"),
                            c.text("reason")});
  }
  for (const json& entry : fields.array("balance")) {
    const Fields b(entry, where + " balance");
    d.balance.push_back({b.integer("tokens", 0, max_extent), b.number("same"), b.number("paired"),
                         b.number("longest_first"), b.number("measured"),
                         b.has("measured_same") ? b.number("measured_same") : 0.0, read_loads(b, "before"),
                         read_loads(b, "after")});
  }
  return d;
}

std::vector<std::string> read_names(const Fields& fields, const char* field) {
  std::vector<std::string> names;
  for (const json& name : fields.array(field)) {
    if (!name.is_string()) fields.wrong(field, name, "an array of names");
    names.push_back(name.get<std::string>());
  }
  return names;
}

json describe_model(const ModelPart& model) {
  json tensors = json::array();
  for (const PlanTensor& tensor : model.tensors) tensors.push_back(tensor.name);
  return {{"version", model_part_version},
          {"architecture", model.architecture},
          {"description", json::parse(model.description)},
          {"tensors", tensors}};
}

ModelPart read_model(const json& value, const std::string& file) {
  const Fields fields(value, file + ": the description, \"model\"");
  const std::int64_t version = fields.integer("version", 0, max_extent);
  if (version != model_part_version)
    throw InputError(
        fmt::format("{}: holds a model of version {}, this build reads version {}; compile the model again",
                    file, version, model_part_version));
  ModelPart model;
  model.architecture = fields.text("architecture");
  if (!fields.at("description").is_object())
    fields.wrong("description", fields.at("description"), "an object");
  model.description = fields.at("description").dump();
  std::set<std::string> names;
  for (const std::string& name : read_names(fields, "tensors")) {
    if (!names.insert(name).second)
      throw InputError(fmt::format("{}: tensor {} appears twice", fields.where(), base::in_quotes(name)));
    model.tensors.push_back({.name = name, .shape = {}, .data = {}});
  }
  return model;
}

}  // namespace

std::string packing_tensor(const std::string& layer, std::size_t packing) {
  return fmt::format("{}.packing.{}", layer, packing);
}
std::string row_order_tensor(const std::string& layer) { return layer + ".row_order"; }
std::string bias_tensor(const std::string& layer) { return layer + ".bias"; }
std::string model_tensor(const std::string& name) { return "model/" + name; }

json describe_decision(const LayerDecision& d) {
  // JSON has no infinity: a price that is none is written as 0, "not priced".
  const auto finite = [](double value) { return std::isfinite(value) ? value : 0.0; };
  json candidates = json::array();
  for (const CandidateRecord& c : d.candidates)
    candidates.push_back({{"name", c.name},
                          {"tokens", c.tokens},
                          {"predicted_us", finite(c.predicted_us)},
                          {"measured_us", finite(c.measured_us)},
                          {"bytes", c.bytes},
                          {"chosen", c.chosen},
                          {"reason", c.reason}});
  const auto loads_json = [&](const LayerDecision::WorkerLoads& loads) {
    const auto rounded = [&](const std::vector<double>& values) {
      json list = json::array();
      for (const double value : values) list.push_back(std::round(finite(value) * 1e4) / 1e4);
      return list;
    };
    return json{{"predicted", rounded(loads.predicted)}, {"measured", rounded(loads.measured)}};
  };
  json balance = json::array();
  for (const auto& b : d.balance)
    balance.push_back({{"tokens", b.tokens},
                       {"same", finite(b.same)},
                       {"paired", finite(b.paired)},
                       {"longest_first", finite(b.longest_first)},
                       {"measured", finite(b.measured)},
                       {"measured_same", finite(b.measured_same)},
                       {"before", loads_json(b.before)},
                       {"after", loads_json(b.after)}});
  return {{"blocks_dense", d.blocks_dense},   {"blocks_swing", d.blocks_swing},
          {"blocks_sparse", d.blocks_sparse}, {"blocks_empty", d.blocks_empty},
          {"structure", d.structure},         {"row_order", d.row_order},
          {"candidates", candidates},         {"balance", balance}};
}

json describe(const Plan& plan) {
  json layers = json::array();
  for (const LayerPlan& layer : plan.layers) {
    json packings = json::array();
    for (const Packing& packing : layer.packings) {
      json panels = json::array();
      for (const Panel& panel : packing.panels) panels.push_back(panel_json(panel));
      packings.push_back({{"arithmetic", arithmetic_names[static_cast<std::size_t>(packing.arithmetic)]},
                          {"panels", panels}});
    }
    json variants = json::array();
    for (const Variant& variant : layer.variants) variants.push_back(variant_json(variant));
    json entry = {{"name", layer.name},
                  {"rows", layer.rows},
                  {"cols", layer.cols},
                  {"source_dtype", name_of(layer.source_dtype)},
                  {"nnz", layer.nnz},
                  {"row_order", !layer.row_order.empty()},
                  {"bias", !layer.bias.empty()},
                  {"packings", packings},
                  {"variants", variants},
                  {"decision", describe_decision(layer.decision)}};
    if (!layer.parts.empty()) entry["parts"] = layer.parts;
    layers.push_back(std::move(entry));
  }
  json result = {
      {"device", plan.device},           {"dtype", name_of(plan.dtype)},          {"source", plan.source},
      {"compiled_by", plan.compiled_by}, {"compiled_on", plan.compiled_on},       {"threads", plan.threads},
      {"profile", plan.profile},         {"profile_source", plan.profile_source}, {"layers", layers}};
  if (plan.device == "cuda") {
    result["sm"] = plan.sm;
    result["sms"] = plan.sms;
  }
  if (plan.model) result["model"] = describe_model(*plan.model);
  return result;
}

Plan read_description(const json& description, const std::string& file) {
  constexpr std::string_view dtype_names[] = {"fp32", "fp16", "bf16"};
  const Fields fields(description, file + ": the description");
  Plan plan;
  plan.device = fields.text("device");
  plan.dtype = from_names<DType>(fields, "dtype", dtype_names);
  const bool cuda = plan.device == "cuda";
  if (plan.dtype == DType::fp16 && !cuda) fields.wrong("dtype", fields.at("dtype"), "one of fp32, bf16");
  if (cuda) {
    plan.sm = static_cast<int>(fields.integer("sm", 80, 9999));
    plan.sms = static_cast<int>(fields.integer("sms", 1, 1 << 16));
  }
  plan.source = fields.text("source");
  plan.compiled_by = fields.text("compiled_by");
  plan.compiled_on = fields.text("compiled_on");
  plan.threads = static_cast<int>(fields.integer("threads", 1, 1 << 16));
  plan.profile = fields.text("profile");
  plan.profile_source = fields.text("profile_source");
  std::set<std::string> names;
  for (const json& entry : fields.array("layers")) {
    const std::string name = Fields(entry, file + ": a layer").text("name");
    const Fields l(entry, fmt::format("{}: layer {}", file, base::in_quotes(name)));
    LayerPlan layer;
    if (!names.insert(name).second)
      throw InputError(fmt::format("{}: layer {} appears twice", file, base::in_quotes(name)));
    layer.name = name;
    layer.rows = l.integer("rows", 1, max_extent);
    layer.cols = l.integer("cols", 1, max_extent);
    layer.source_dtype = from_names<DType>(l, "source_dtype", dtype_names);
    layer.nnz = l.integer("nnz", 0, layer.rows * layer.cols);
    if (l.boolean("row_order")) layer.row_order.resize(1);  // filled from its tensor by the loader
    if (l.boolean("bias")) layer.bias.resize(1);
    if (entry.contains("parts")) layer.parts = read_names(l, "parts");
    for (const json& value : l.array("packings")) {
      const Fields p(value, l.where() + " packings");
      Packing packing;
      packing.arithmetic = from_names<PlanArithmetic>(p, "arithmetic", arithmetic_names);
      for (const json& panel : p.array("panels"))
        packing.panels.push_back(read_panel(panel, l.where(), cuda ? max_extent : 1 << 20));
      layer.packings.push_back(std::move(packing));
    }
    for (const json& value : l.array("variants")) layer.variants.push_back(read_variant(value, l.where()));
    layer.decision = read_decision(l.at("decision"), l.where());
    plan.layers.push_back(std::move(layer));
  }
  if (description.contains("model")) plan.model = read_model(description["model"], file);
  return plan;
}

}  // namespace cross::plan_file
