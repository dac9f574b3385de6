#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "cross/error.h"
#include "gpu/gpu_state.h"
#include "gpu/parts.h"

namespace cross_bench {
namespace {

/// What true fp32 accuracy means here: largest error over the largest result.
constexpr double most_error = 2e-6;

struct Sum {
  double dense = 0, best = 0, error = 0;
  std::map<std::string, int> winners;
  std::map<std::string, double> forms;
};

double target(double sparsity) { return sparsity < 0.75 ? 2.3 : sparsity < 0.85 ? 3 : 4; }

}  // namespace

nlohmann::json fp32_part(Arena& arena, const PartOptions& options) {
  using cross::DType;
  auto tokens = either<std::int64_t>(options.tokens, {256, 512, 1024});
  std::sort(tokens.rbegin(), tokens.rend());
  const auto sparsities = either<double>(options.sparsities, {0.5, 0.6, 0.7, 0.8, 0.9});
  std::vector<Shape> shapes = {{4096, 4096}, {4096, 11008}};
  if (options.all) shapes.assign(std::begin(llama_shapes), std::end(llama_shapes));
  std::vector<std::function<Weight()>> makers;
  std::vector<double> sparsity_of;
  for (const double s : sparsities)
    for (const Shape& shape : shapes) {
      makers.emplace_back([&, s, shape] { return iid_weight(DType::fp32, shape, 1 - s, options.seed); });
      sparsity_of.push_back(s);
    }
  GpuState state(arena.device().index);
  nlohmann::json rows = nlohmann::json::array();
  std::map<std::pair<std::int64_t, double>, Sum> sums;
  std::map<std::int64_t, double> tf32;
  pipelined(arena, makers, {tokens, options.formats}, options.threads,
            [&](std::size_t i, const PackedForms& forms) {
              for (const std::int64_t t : tokens) {
                const Contest contest =
                    arena.run(forms, t, {.chains = false, .expansion = true, .burst = options.burst_for(t)});
                state.sample();
                Sum& sum = sums[{t, sparsity_of[i]}];
                sum.dense += contest.dense_us;
                sum.best += contest.best_us();
                ++sum.winners[contest.best_name()];
                for (const Entry& entry : contest.entries) {
                  sum.forms[entry.name] += entry.us;
                  sum.error = std::max(sum.error, entry.error);
                }
                rows.push_back(json_of(contest));
                if (i < shapes.size()) {  // the same whatever the mask
                  const cross::cuda::DenseBench rounded(
                      {DType::fp32, contest.shape.rows, contest.shape.cols, t, true}, arena.device());
                  tf32[t] += cross::cuda::best_algorithm(arena.library(), rounded, 8).us;
                }
              }
            });
  std::string names;
  for (const Shape& shape : shapes) names += (names.empty() ? "" : ", ") + text_of(shape);
  fmt::print(
      "{}: fp32, i.i.d. masks, sum of {}: speed-up over cuBLASLt in true fp32\n{:>5} {:>9} {:>8} {:>8}",
      arena.device().name, names, "N", "cuBLASLt", "TFLOP/s", "TF32 us");
  for (const double s : sparsities) fmt::print(" {:>6.0f} %", 100 * s);
  fmt::print("\n");
  std::reverse(tokens.begin(), tokens.end());
  nlohmann::json table = nlohmann::json::array();
  for (const std::int64_t t : tokens) {
    double elements = 0;
    for (const Shape& shape : shapes) elements += static_cast<double>(shape.rows * shape.cols);
    const double dense = sums[{t, sparsities.front()}].dense;
    fmt::print("{:>5} {:>9.1f} {:>8.1f} {:>8.1f}", t, dense, 2e-6 * elements * static_cast<double>(t) / dense,
               tf32[t]);
    for (const double s : sparsities) {
      const Sum& sum = sums[{t, s}];
      const double speedup = sum.dense / sum.best;
      fmt::print(" {:>6.2f}{} ", speedup, speedup < target(s) ? "-" : " ");
      table.push_back({{"tokens", t},
                       {"sparsity", s},
                       {"dense_us", sum.dense},
                       {"best_us", sum.best},
                       {"tf32_us", tf32[t]},
                       {"speedup", speedup},
                       {"error", sum.error},
                       {"forms_us", sum.forms}});
    }
    fmt::print("\n");
  }
  for (const std::int64_t t : tokens)
    for (const double s : sparsities) {
      const Sum& sum = sums[{t, s}];
      std::string forms;
      for (const auto& [name, us] : sum.forms) forms += fmt::format(" {} {:.1f}", name, us);
      fmt::print("N={:<5}{:>3.0f} %  dense {:.1f}{}; largest error {:.1e}{}\n", t, 100 * s, sum.dense, forms,
                 sum.error, sum.error > most_error ? " ABOVE 2e-6" : "");
      if (sum.error > most_error)
        throw cross::VerificationError(fmt::format(
            "fp32 at {} tokens, {:.0f} % sparsity: relative error {:.1e}, should be at most {:.0e}", t,
            100 * s, sum.error, most_error));
    }
  fmt::print("(\"-\": below the project's target; {})\n", state.text());
  return {{"table", table}, {"rows", rows}};
}

}  // namespace cross_bench
