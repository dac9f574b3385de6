#include <fmt/format.h>

#include <map>

#include "gpu/parts.h"

namespace cross_bench {
namespace {

/// What the project wants at 0, 30, 50 … 95 % sparsity.
double target(std::int64_t tokens, std::size_t sparsity) {
  static constexpr double wanted[][8] = {{1, 1, 1.6, 1.8, 2.1, 2.8, 4.2, 6},
                                         {1, 1, 1.45, 1.6, 1.85, 2.1, 2.6, 3.3},
                                         {1, 1, 1.35, 1.45, 1.6, 1.8, 2.2, 2.8},
                                         {1, 1, 1.15, 1.25, 1.35, 1.45, 1.7, 2.0},
                                         {0.98, 0.98, 1.0, 1.05, 1.1, 1.2, 1.35, 1.5}};
  const int row = tokens == 1 ? 0 : tokens <= 8 ? 1 : tokens <= 16 ? 2 : tokens <= 32 ? 3 : 4;
  return wanted[row][sparsity];
}

struct Sum {
  double dense = 0, best = 0, chain = 0;
  std::map<std::string, int> winners;
  std::map<std::string, double> forms;  ///< summed µs of every format
};

/// Bytes of every format per kept weight, over all shapes.
using Bytes = std::map<std::string, std::pair<double, double>>;  ///< name → bytes, kept weights

void print_bytes(const std::vector<double>& sparsities, const std::map<std::size_t, Bytes>& bytes) {
  fmt::print(
      "\nbytes per kept weight (16-bit values; a bitmap takes 2 + 1 / (8 density), no format less than 2)\n");
  for (const auto& [s, forms] : bytes) {
    fmt::print("{:>3.0f} %  bitmap bound {:.2f}", 100 * sparsities[s], 2 + 0.125 / (1 - sparsities[s]));
    for (const auto& [name, sum] : forms) fmt::print("  {} {:.2f}", name, sum.first / sum.second);
    fmt::print("\n");
  }
}

std::string winners_text(const Sum& sum) {
  std::string text;
  for (const auto& [name, count] : sum.winners)
    text += fmt::format("{}{}{}", text.empty() ? "" : "+", name, count > 1 ? fmt::format("*{}", count) : "");
  return text;
}

}  // namespace

nlohmann::json decode_part(Arena& arena, const PartOptions& options) {
  const std::vector<std::int64_t> tokens =
      options.tokens.empty() ? std::vector<std::int64_t>{1, 2, 4, 8, 16, 32, 64} : options.tokens;
  const std::vector<double> sparsities =
      options.sparsities.empty()
          ? std::vector<double>(std::begin(target_sparsities), std::end(target_sparsities))
          : options.sparsities;
  std::vector<std::function<Weight()>> makers;
  std::vector<std::size_t> sparsity_of;
  for (std::size_t s = 0; s < sparsities.size(); ++s)
    for (const Shape& shape : llama_shapes) {
      makers.emplace_back([&, s, shape] {
        return iid_weight(options.type(), shape, 1 - sparsities[s], options.seed + makers.size());
      });
      sparsity_of.push_back(s);
    }

  nlohmann::json rows = nlohmann::json::array();
  std::map<std::pair<std::int64_t, std::size_t>, Sum> sums;
  std::map<std::size_t, Bytes> bytes;
  double packing = 0;
  pipelined(arena, makers, {tokens, options.formats}, options.threads,
            [&](std::size_t i, const PackedForms& forms) {
              packing += forms.seconds;
              for (const std::int64_t t : tokens) {
                const Contest contest = arena.run(forms, t, {.seconds = options.seconds});
                Sum& sum = sums[{t, sparsity_of[i]}];
                sum.dense += contest.dense_us;
                sum.best += contest.best_us();
                sum.chain += contest.chain_us();
                ++sum.winners[contest.best_name()];
                for (const Entry& entry : contest.entries) {
                  sum.forms[entry.name] += entry.us;
                  if (t != tokens.front()) continue;
                  auto& [total, kept] = bytes[sparsity_of[i]][entry.name];
                  total += static_cast<double>(entry.bytes);
                  kept += contest.density * static_cast<double>(contest.shape.rows * contest.shape.cols);
                }
                rows.push_back(json_of(contest));
                rows.back()["asked_sparsity"] = sparsities[sparsity_of[i]];
              }
            });

  fmt::print(
      "{}: sum of Llama-2-7B's four products, {}, i.i.d. masks: cuBLASLt us, then speed-up (in PDL chains)\n",
      arena.device().name, options.dtype);
  fmt::print("{:>4} {:>8}", "N", "cuBLASLt");
  for (const double s : sparsities) fmt::print("  {:>6.0f} %     ", 100 * s);
  fmt::print("\n");
  nlohmann::json table = nlohmann::json::array();
  for (const std::int64_t t : tokens) {
    double dense = 0;
    for (std::size_t s = 0; s < sparsities.size(); ++s) dense += sums[{t, s}].dense;
    fmt::print("{:>4} {:>8.1f}", t, dense / static_cast<double>(sparsities.size()));
    for (std::size_t s = 0; s < sparsities.size(); ++s) {
      const Sum& sum = sums[{t, s}];
      const double speedup = sum.dense / sum.best;
      const bool targeted = options.sparsities.empty();
      fmt::print("  {:>4.2f}{}({:>4.2f}) ", speedup, targeted && speedup < target(t, s) ? "-" : " ",
                 sum.dense / sum.chain);
      table.push_back({{"tokens", t},
                       {"sparsity", sparsities[s]},
                       {"dense_us", sum.dense},
                       {"best_us", sum.best},
                       {"speedup", speedup},
                       {"chain_speedup", sum.dense / sum.chain},
                       {"winners", winners_text(sum)},
                       {"forms_us", sum.forms}});
      if (targeted) table.back()["target"] = target(t, s);
    }
    fmt::print("\n");
  }
  if (options.sparsities.empty()) fmt::print("(\"-\": below the project's target)\n");
  fmt::print("\nsummed us of every format, and who wins\n");
  for (const std::int64_t t : tokens)
    for (std::size_t s = 0; s < sparsities.size(); ++s) {
      const Sum& sum = sums[{t, s}];
      fmt::print("N={:<3} {:>3.0f} %  dense {:>6.1f}", t, 100 * sparsities[s], sum.dense);
      for (const auto& [name, us] : sum.forms) fmt::print("  {} {:>6.1f}", name, us);
      fmt::print("  -> {}\n", winners_text(sum));
    }
  print_bytes(sparsities, bytes);
  fmt::print("packing took {:.0f} s of {} threads\n", packing, options.threads);
  return {{"table", table}, {"rows", rows}, {"packing_seconds", packing}};
}

}  // namespace cross_bench
