#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <map>

#include "cross/error.h"
#include "gpu/cross_runs.h"
#include "gpu/parts.h"
#include "plot.h"

namespace cross_bench {
namespace {

using cross::DType;
using cross::compiler::CrossPanelsOptions;
using Units = CrossPanelsOptions::Units;

/// The block product of CROSS's study and its batch.
constexpr std::int64_t extent = 256, batch = 10;
/// Half-width of the swing band.
constexpr double delta = 0.1;

const std::vector<double> sparsities = {0, 0.2, 0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 0.98, 0.99, 0.995};

struct Row {
  double sparsity = 0, dense = 0, sparse = 0, library = 0;
  std::string how;
  double ratio() const { return sparse / dense; }
};

const char* band_of(double ratio) {
  return ratio > 1 + delta ? "dense" : ratio < 1 - delta ? "sparse" : "swing";
}

/// Sparsity at which sparse / dense falls to `ratio`; 1 where it never does.
double crossing(const std::vector<Row>& rows, double ratio) {
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (rows[i].ratio() > ratio) continue;
    if (i == 0) return rows[0].sparsity;
    const double above = rows[i - 1].ratio(), below = rows[i].ratio();
    return rows[i - 1].sparsity +
           (rows[i].sparsity - rows[i - 1].sparsity) * (above - ratio) / std::max(above - below, 1e-9);
  }
  return 1;
}

Panel panel_of(const std::string& title, const std::vector<Row>& rows, const char* dense,
               const char* sparse) {
  Panel panel{title, {{dense, 0, false, {}}, {sparse, 1, false, {}}}, {}};
  for (const Row& row : rows) {
    panel.curves[0].points.emplace_back(row.sparsity, row.library / row.dense);
    panel.curves[1].points.emplace_back(row.sparsity, row.library / row.sparse);
  }
  const double swing = crossing(rows, 1 + delta), end = crossing(rows, 1 - delta);
  panel.spans = {{"dense", 0, swing, 0}, {"swing", swing, end, 3}, {"sparse", end, 1, 2}};
  return panel;
}

/// fp32: both units are ours. Tensor cores by cross_panels, forced to take every block, or split_blocks; CUDA
/// cores by cross_panels, forced likewise, or row_lists, where it is offered: whichever is faster.
std::vector<Row> fp32_rows(Arena& arena, const Shape& shape, std::int64_t tokens,
                           const PartOptions& options) {
  std::vector<Row> rows;
  for (const double s : sparsities) {
    const Weight weight = iid_weight(DType::fp32, shape, 1 - s, options.seed);
    PackedForms forms =
        pack_all(weight, arena.device(), {{tokens}, {cross::Format::split_blocks, cross::Format::row_lists}},
                 options.threads);
    for (const auto& [name, units] :
         {std::pair{"tensor", Units::all_tensor}, std::pair{"gather", Units::all_gather}}) {
      forms.others.push_back(pack_cross(weight, arena.device(), name,
                                        {units, CrossPanelsOptions::Policy::automatic, 0}, 1024,
                                        options.threads)
                                 .plan);
      forms.others.back().name = name;
    }
    const Contest contest = arena.run(forms, tokens, {.seconds = 0.01, .chains = false});
    Row row{s, 0, 0, contest.dense_us, {}};
    for (const Entry& entry : contest.entries) {  // the fastest first
      const bool tensor = entry.name == "tensor" || entry.name == "split_blocks";
      double& us = tensor ? row.dense : row.sparse;
      if (us > 0) continue;
      us = entry.us;
      row.how += (row.how.empty() ? "" : ", ") + entry.name;
    }
    rows.push_back(row);
  }
  return rows;
}

/// bf16: the dense unit is the library's, the sparse side whatever packed kernel is fastest.
std::vector<Row> bf16_rows(Arena& arena, const Shape& shape, std::int64_t tokens,
                           const PartOptions& options) {
  std::vector<Row> rows;
  for (const double s : sparsities) {
    const PackedForms forms = pack_all(iid_weight(DType::bf16, shape, 1 - s, options.seed), arena.device(),
                                       {{tokens}, options.formats}, options.threads);
    const Contest contest = arena.run(forms, tokens, {.seconds = 0.01, .chains = false, .expansion = true});
    Row row{s, contest.dense_us, 0, contest.dense_us, "none"};
    for (const Entry& entry : contest.entries) {
      row.sparse = entry.us;
      row.how = entry.name;
      break;
    }
    if (row.sparse > 0) rows.push_back(row);
  }
  return rows;
}

}  // namespace

nlohmann::json bands_part(Arena& arena, const PartOptions& options) {
  struct Case {
    const char* name;
    DType dtype;
    Shape shape;
  };
  // One block alone waits for latency; 8 x 8 blocks fill the GPU.
  const Case cases[] = {{"fp32, one block", DType::fp32, {extent, extent}},
                        {"fp32, 8x8 blocks", DType::fp32, {8 * extent, 8 * extent}},
                        {"bf16, one block", DType::bf16, {extent, extent}},
                        {"bf16, 8x8 blocks", DType::bf16, {8 * extent, 8 * extent}}};
  fmt::print(
      "{}: product of {}x{}x{}, batch {}: us on the dense and on the sparse unit; the swing band is where "
      "they are within {:.0f} %\n",
      arena.device().name, extent, extent, extent, batch, 100 * delta);
  std::vector<Panel> panels;
  nlohmann::json result = nlohmann::json::array();
  for (const Case& one : cases) {
    const bool wide = one.dtype == DType::fp32;
    const auto rows = wide ? fp32_rows(arena, one.shape, extent * batch, options)
                           : bf16_rows(arena, one.shape, extent * batch, options);
    if (rows.empty()) continue;
    fmt::print("{}: dense = {}, sparse = {}\n{:>9} {:>9} {:>9} {:>9} {:>7}  band\n", one.name,
               wide ? "tensor cores, split precision" : "cuBLASLt",
               wide ? "CUDA cores" : "the fastest packed kernel", "sparsity", "cuBLASLt", "dense", "sparse",
               "ratio");
    for (const Row& row : rows) {
      fmt::print("{:>7.1f} % {:>9.2f} {:>9.2f} {:>9.2f} {:>7.2f}  {} {}\n", 100 * row.sparsity, row.library,
                 row.dense, row.sparse, row.ratio(), band_of(row.ratio()), row.how);
      result.push_back({{"case", one.name},
                        {"sparsity", row.sparsity},
                        {"cublaslt_us", row.library},
                        {"dense_us", row.dense},
                        {"sparse_us", row.sparse},
                        {"sparse", row.how},
                        {"band", band_of(row.ratio())}});
    }
    fmt::print("  dense band below {:.1f} %, sparse band above {:.1f} %\n", 100 * crossing(rows, 1 + delta),
               100 * crossing(rows, 1 - delta));
    panels.push_back(
        panel_of(one.name, rows, wide ? "tensor cores" : "cuBLASLt", wide ? "CUDA cores" : "packed"));
  }
  if (!options.plot.empty()) {
    std::ofstream file(options.plot);
    file << svg_of(panels, fmt::format("Products of 256x256x256, batch 10: speed-up over cuBLASLt, {}",
                                       arena.device().name));
    if (!file.flush()) throw cross::UsageError(fmt::format("{}: cannot be written", options.plot));
  }
  return {{"rows", result}, {"delta", delta}};
}

}  // namespace cross_bench
