#include "inspect_report.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <nlohmann/json.hpp>

#include "base/quote.h"
#include "table.h"

namespace cross::cli {
namespace {

using json = nlohmann::ordered_json;

/// "varies by row, 2:4, blocks of 16x16".
std::string structure_text(const MatrixAnalysis& analysis) {
  std::string text(name_of(analysis.uniformity.verdict));
  if (analysis.n_m)
    text += fmt::format(", {}:{}{}", analysis.n_m->keep, analysis.n_m->group,
                        analysis.n_m->by_chance ? " (by chance)" : "");
  if (analysis.blocks)
    text += fmt::format(", blocks of {}x{}", analysis.blocks->block_rows, analysis.blocks->block_cols);
  return text;
}

struct Total {
  std::int64_t elements = 0, nnz = 0;
  std::uint64_t dense = 0, smallest = 0;
};

Total total_of(const Inspection& inspection) {
  Total total;
  for (const InspectedLayer& layer : inspection.layers) {
    const MatrixAnalysis& a = layer.analysis;
    total.elements += a.rows * a.cols;
    total.nnz += a.nnz;
    total.dense += static_cast<std::uint64_t>(a.rows * a.cols) * size_of(a.plan_dtype);
    total.smallest += static_cast<std::uint64_t>(a.sizes.at(a.smallest).bytes);
  }
  return total;
}

double sparsity_of(const Total& total) {
  return total.elements == 0 ? 0.0 : 1 - static_cast<double>(total.nnz) / static_cast<double>(total.elements);
}

std::string layer_text(const InspectedLayer& layer) {
  const MatrixAnalysis& a = layer.analysis;
  std::string sizes;
  for (std::size_t i = 0; i < a.sizes.size(); ++i)
    sizes += fmt::format("{}{} {}{}", sizes.empty() ? "" : ", ", a.sizes[i].name,
                         bytes_text(static_cast<std::uint64_t>(a.sizes[i].bytes)),
                         i == a.smallest ? " (smallest)" : "");
  return fmt::format(
      "{}: {}x{} {}, {} sparse ({})\n"
      "  structure    {}\n"
      "  uniformity   {}\n"
      "  rows         density {:.1f} % to {:.1f} %, {} empty; {} empty columns\n"
      "  outside 2:4  {} of all positions\n"
      "  sizes        {}\n"
      "  smallest     {}\n",
      base::printable(layer.name), a.rows, a.cols, layer.type, percent_text(a.sparsity()), layer.reason,
      structure_text(a), a.uniformity.reason, 100 * a.row_density.min, 100 * a.row_density.max, a.empty_rows,
      a.empty_cols, percent_text(a.outside_two_four), sizes, a.smallest_reason);
}

json layer_json(const InspectedLayer& layer) {
  const MatrixAnalysis& a = layer.analysis;
  json sizes = json::object();
  for (const FormatSize& size : a.sizes) sizes[size.name] = size.bytes;
  json result = {{"name", layer.name},
                 {"m", a.rows},
                 {"k", a.cols},
                 {"dtype", layer.type},
                 {"selected", true},
                 {"reason", layer.reason},
                 {"nnz", a.nnz},
                 {"sparsity", a.sparsity()},
                 {"structure", structure_text(a)},
                 {"uniformity",
                  {{"verdict", name_of(a.uniformity.verdict)},
                   {"region_variation", a.uniformity.region_variation},
                   {"row_variation", a.uniformity.row_variation},
                   {"reason", a.uniformity.reason}}},
                 {"row_density",
                  {{"min", a.row_density.min},
                   {"p10", a.row_density.p10},
                   {"p50", a.row_density.p50},
                   {"p90", a.row_density.p90},
                   {"max", a.row_density.max}}},
                 {"empty_rows", a.empty_rows},
                 {"empty_cols", a.empty_cols},
                 {"outside_two_four", a.outside_two_four},
                 {"sizes", sizes},
                 {"smallest", a.sizes.at(a.smallest).name},
                 {"smallest_reason", a.smallest_reason},
                 {"entropy_bound", a.entropy_bound}};
  if (a.n_m)
    result["n_m"] = {{"keep", a.n_m->keep}, {"group", a.n_m->group}, {"by_chance", a.n_m->by_chance}};
  if (a.blocks)
    result["blocks"] = {
        {"rows", a.blocks->block_rows}, {"cols", a.blocks->block_cols}, {"fill", a.blocks->fill}};
  return result;
}

}  // namespace

std::string inspection_text(const Inspection& inspection) {
  std::string text;
  for (const InspectedLayer& layer : inspection.layers) text += layer_text(layer) + "\n";
  if (!inspection.others.empty()) {
    Table table({"left alone", "<type", "<shape", "<why"});
    for (const LeftAlone& tensor : inspection.others)
      table.add({tensor.name, tensor.type, fmt::format("{}", fmt::join(tensor.shape, "x")), tensor.reason});
    text += table.text() + "\n";
  }
  const Total total = total_of(inspection);
  text += fmt::format("{}: {} to compile, {} sparse; {} left alone\n", base::printable(inspection.model),
                      plural(inspection.layers.size(), "layer"), percent_text(sparsity_of(total)),
                      plural(inspection.others.size(), "tensor"));
  if (!inspection.layers.empty())
    text +=
        fmt::format("{} dense in {}, {} with the smallest format of each layer\n", bytes_text(total.dense),
                    name_of(inspection.layers.front().analysis.plan_dtype), bytes_text(total.smallest));
  return text;
}

json inspection_json(const Inspection& inspection) {
  json layers = json::array();
  for (const InspectedLayer& layer : inspection.layers) layers.push_back(layer_json(layer));
  json others = json::array();
  for (const LeftAlone& tensor : inspection.others)
    others.push_back({{"name", tensor.name},
                      {"shape", tensor.shape},
                      {"dtype", tensor.type},
                      {"selected", false},
                      {"reason", tensor.reason},
                      {"bytes", tensor.bytes}});
  const Total total = total_of(inspection);
  return {{"model", inspection.model},
          {"layers", layers},
          {"left_alone", others},
          {"total",
           {{"layers", inspection.layers.size()},
            {"elements", total.elements},
            {"nnz", total.nnz},
            {"sparsity", sparsity_of(total)},
            {"bytes_dense", total.dense},
            {"bytes_smallest", total.smallest}}}};
}

}  // namespace cross::cli
