#include <fmt/format.h>

#include <cmath>
#include <map>

#include "cross/error.h"
#include "gpu/parts.h"

namespace cross_bench {
namespace {

struct Mean {
  double logs = 0, worst = 1e9, best = 0;
  int count = 0;
  std::map<std::string, int> winners;
  void add(const Contest& contest) {
    const double ratio = contest.dense_us / contest.best_us();
    logs += std::log(ratio);
    worst = std::min(worst, ratio);
    best = std::max(best, ratio);
    ++count;
    ++winners[contest.best_name()];
  }
  double value() const { return std::exp(logs / count); }
};

/// "0.7" of "dlmc/transformer/magnitude_pruning/0.7/….smtx", else the whole folder.
std::string folder_of(const std::string& file) {
  const std::size_t end = file.find_last_of('/');
  if (end == std::string::npos) return ".";
  const std::size_t begin = file.find("dlmc/");
  return begin == std::string::npos ? file.substr(0, end) : file.substr(begin + 5, end - begin - 5);
}

}  // namespace

nlohmann::json dlmc_part(Arena& arena, const PartOptions& options) {
  using cross::DType;
  if (options.files.empty()) throw cross::UsageError("dlmc: names no .smtx pattern");
  const auto tokens = either<std::int64_t>(options.tokens, {256});
  fmt::print(
      "{}: {} patterns of trained networks, speed-up over cuBLASLt of the same dtype (fp32: true fp32), "
      "geometric means\n",
      arena.device().name, options.files.size());
  nlohmann::json rows = nlohmann::json::array(), means = nlohmann::json::array();
  for (const DType dtype : {DType::fp32, DType::bf16}) {
    std::vector<std::function<Weight()>> makers;
    for (const std::string& file : options.files)
      makers.emplace_back([=] { return pattern_weight(file, dtype); });
    std::map<std::pair<std::int64_t, std::string>, Mean> by_folder;
    std::map<std::int64_t, Mean> all;
    pipelined(arena, makers, {tokens, options.formats}, options.threads,
              [&](std::size_t i, const PackedForms& forms) {
                for (const std::int64_t t : tokens) {
                  const Contest contest =
                      arena.run(forms, t, {.seconds = options.seconds, .chains = false, .expansion = true});
                  by_folder[{t, folder_of(options.files[i])}].add(contest);
                  all[t].add(contest);
                  rows.push_back(json_of(contest));
                  rows.back()["file"] = options.files[i].substr(options.files[i].find_last_of('/') + 1);
                  rows.back()["folder"] = folder_of(options.files[i]);
                  rows.back()["dtype"] = name_of(dtype);
                }
              });
    const auto print = [&](std::int64_t t, const std::string& name, const Mean& mean) {
      std::string winners;
      for (const auto& [form, count] : mean.winners) winners += fmt::format(" {}*{}", form, count);
      fmt::print("{} N={:<4} {:<44} {:>5.2f}x of {:>2} ({:.2f} to {:.2f}) {}\n", name_of(dtype), t, name,
                 mean.value(), mean.count, mean.worst, mean.best, winners);
      means.push_back({{"dtype", name_of(dtype)},
                       {"tokens", t},
                       {"folder", name},
                       {"geometric_mean", mean.value()},
                       {"least", mean.worst},
                       {"most", mean.best},
                       {"count", mean.count}});
    };
    for (const auto& [key, mean] : by_folder) print(key.first, key.second, mean);
    for (const auto& [t, mean] : all) print(t, "all", mean);
  }
  return {{"means", means}, {"rows", rows}};
}

}  // namespace cross_bench
