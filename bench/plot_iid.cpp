// plot_iid: what bench_iid measured as curves over sparsity, one panel a dtype, one curve a token count.
//
//     bench_iid --json > FILE.json;  plot_iid FILE.json > FILE.svg
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>

#include "iid_report.h"
#include "plot.h"

namespace {

using nlohmann::json;

/// Sum of logarithms, for a geometric mean.
struct Mean {
  double logs = 0;
  int count = 0;
  double value() const { return std::exp(logs / count); }
};

/// Whether a row belongs to the mean that the targets are set for; rows without a shape are means already.
bool counts(const json& row, const std::string& dtype, std::int64_t tokens, double sparsity) {
  if (!row.contains("m")) return true;
  const auto target =
      cross_bench::target_for(dtype == "fp32" ? cross::DType::fp32 : cross::DType::bf16, tokens, sparsity);
  const cross_bench::Shape shape{row.at("m").get<std::int64_t>(), row.at("k").get<std::int64_t>()};
  return !target || std::find(target->shapes.begin(), target->shapes.end(), shape) != target->shapes.end();
}

std::string plot(const json& measured) {
  std::map<std::string, std::map<std::int64_t, std::map<double, Mean>>> means;
  for (const json& row : measured.at("rows")) {
    const auto dtype = row.at("dtype").get<std::string>();
    const auto tokens = row.at("tokens").get<std::int64_t>();
    const auto sparsity = row.at("asked_sparsity").get<double>();
    if (!counts(row, dtype, tokens, sparsity)) continue;
    Mean& mean = means[dtype][tokens][sparsity];
    mean.logs += std::log(row.at("speedup").get<double>());
    ++mean.count;
  }
  std::vector<cross_bench::Panel> panels;
  for (auto dtype = means.rbegin(); dtype != means.rend(); ++dtype) {  // fp32 before bf16
    cross_bench::Panel panel{dtype->first, {}, {}};
    for (const auto& [tokens, of_sparsity] : dtype->second) {
      cross_bench::Curve curve{
          fmt::format("N = {}", tokens), static_cast<int>(panel.curves.size()), false, {}};
      for (const auto& [sparsity, mean] : of_sparsity) curve.points.emplace_back(sparsity, mean.value());
      panel.curves.push_back(std::move(curve));
    }
    panels.push_back(std::move(panel));
  }
  return cross_bench::svg_of(
      panels, "Speed-up over the best dense library, " + measured.at("device").get<std::string>());
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: plot_iid FILE.json > FILE.svg\n";
    return 2;
  }
  std::ifstream file(argv[1]);
  try {
    std::cout << plot(json::parse(file));
  } catch (const json::exception& error) {
    std::cerr << "plot_iid: " << argv[1] << ": is not what bench_iid --json prints: " << error.what() << "\n";
    return 3;
  }
  return std::cout.flush() ? 0 : 1;
}
