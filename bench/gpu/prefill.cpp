#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>

#include "gpu/gpu_state.h"
#include "gpu/parts.h"

namespace cross_bench {
namespace {

/// What the project wants of any plan, and of one compressed copy.
std::optional<double> target(std::int64_t tokens, double sparsity) {
  const bool many = tokens >= 1024;
  const std::map<int, double> wanted =
      many ? std::map<int, double>{{50, 0.98}, {60, 0.98}, {70, 1.05}, {80, 1.2}, {90, 1.4}, {95, 1.5}}
           : std::map<int, double>{{50, 0.98}, {60, 0.98}, {70, 1.0}, {80, 1.1}, {90, 1.25}, {95, 1.5}};
  if (sparsity <= 0.4001) return 0.98;
  const auto found = wanted.find(static_cast<int>(100 * sparsity + 0.5));
  return found == wanted.end() ? std::nullopt : std::optional(found->second);
}

std::optional<double> once_target(std::int64_t tokens, double sparsity) {
  if (tokens < 256) return std::nullopt;
  const int percent = static_cast<int>(100 * sparsity + 0.5);
  if (percent == 50 || percent == 60 || percent == 70) return 0.93;
  if (percent == 80) return 0.95;
  if (percent == 90 || percent == 95) return 1.0;
  return std::nullopt;
}

std::optional<double> region_target(double sparsity) {
  const int percent = static_cast<int>(100 * sparsity + 0.5);
  const std::map<int, double> wanted = {{60, 1.05}, {70, 1.15}, {80, 1.35}, {90, 1.6}};
  const auto found = wanted.find(percent);
  return found == wanted.end() ? std::nullopt : std::optional(found->second);
}

/// Long samples are dear: where they are taken, the part's own table has every second sparsity up to 90 %.
bool left_out(const PartOptions& options, std::int64_t tokens, double sparsity) {
  if (options.all || !options.tokens.empty() || !options.sparsities.empty()) return false;
  const int percent = static_cast<int>(100 * sparsity + 0.5);
  return cross::cuda::sample_seconds(tokens) >= cross::cuda::long_sample && (percent == 60 || percent == 80);
}

struct Sum {
  double dense = 0, any = 0, once = 0, bytes = 0, bound = 0, tflop = 0, spread = 0;
  bool once_missing = false;
  std::map<std::string, int> winners, once_winners;
  std::map<std::string, double> forms;
  double worst = 1e9;  ///< least dense_us / best_us of a matrix
  std::string worst_name;

  void add(const Contest& contest) {
    dense += contest.dense_us;
    any += contest.best_us();
    tflop += 1e-6 * contest.tflops(1);
    spread = std::max(spread, contest.dense_spread);
    ++winners[contest.best_name()];
    for (const Entry& entry : contest.entries) forms[entry.name] += entry.us;
    if (const Entry* entry = contest.stored_once()) {
      once += entry->us;
      bytes += static_cast<double>(entry->bytes);
      bound += bitmap_bytes(contest.shape, contest.density, contest.dtype);
      ++once_winners[entry->name];
    } else {
      once_missing = true;
    }
    const double ratio = contest.dense_us / contest.best_us();
    if (ratio >= worst) return;
    worst = ratio;
    worst_name = fmt::format("{} by {}", text_of(contest.shape), contest.best_name());
  }
  bool measured() const { return dense > 0; }
  double any_speedup() const { return measured() ? dense / any : 0; }
  double once_speedup() const { return once_missing || !measured() ? 0 : dense / once; }
  double tflops(double us) const { return 1e6 * tflop / us; }
};

std::string names(const std::map<std::string, int>& counts) {
  std::string text;
  for (const auto& [name, count] : counts)
    text += fmt::format("{}{}{}", text.empty() ? "" : "+", name, count > 1 ? fmt::format("*{}", count) : "");
  return text;
}

std::string cell(double speedup, std::optional<double> wanted) {
  if (speedup <= 0) return "   -  ";
  return fmt::format("{:>5.2f}{}", speedup, wanted && speedup < *wanted ? "-" : " ");
}

/// One kind of mask over sparsities and token counts.
class Table {
 public:
  Table(Arena& arena, const PartOptions& options, std::string mask)
      : arena_(arena), options_(options), mask_(std::move(mask)), state_(arena.device().index) {}

  void measure(const std::vector<double>& sparsities, std::vector<std::int64_t> tokens,
               const std::function<Weight(const Shape&, double, std::uint64_t)>& make) {
    std::sort(tokens.rbegin(), tokens.rend());  // the most first: buffers grow once
    std::vector<std::function<Weight()>> makers;
    std::vector<double> sparsity_of;
    for (const double s : sparsities)
      for (const Shape& shape : llama_shapes) {
        makers.emplace_back(
            [&, s, shape, seed = options_.seed + makers.size()] { return make(shape, s, seed); });
        sparsity_of.push_back(s);
      }
    pipelined(arena_, makers, {tokens, options_.formats}, options_.threads,
              [&](std::size_t i, const PackedForms& forms) {
                packing_ += forms.seconds;
                for (const std::int64_t t : tokens) {
                  if (left_out(options_, t, sparsity_of[i])) continue;
                  const Contest contest = arena_.run(
                      forms, t, {.chains = false, .expansion = true, .burst = options_.burst_for(t)});
                  state_.sample();
                  sums_[{t, sparsity_of[i]}].add(contest);
                  rows_.push_back(json_of(contest));
                  rows_.back()["asked_sparsity"] = sparsity_of[i];
                  rows_.back()["mask"] = mask_;
                }
              });
  }

  void print(const std::vector<double>& sparsities, const std::vector<std::int64_t>& tokens, bool regions) {
    fmt::print("{} masks: speed-up over cuBLASLt by any plan | from one compressed copy\n{:>5} {:>9}", mask_,
               "N", "cuBLASLt");
    for (const double s : sparsities) fmt::print(" {:>12.3g} %", 100 * s);
    fmt::print("\n");
    for (const std::int64_t t : tokens) {
      double dense = 0, measured = 0;
      for (const double s : sparsities) {
        dense += sums_[{t, s}].dense;
        measured += sums_[{t, s}].measured() ? 1 : 0;
      }
      fmt::print("{:>5} {:>9.1f}", t, dense / measured);
      for (const double s : sparsities) {
        const Sum& sum = sums_[{t, s}];
        fmt::print("  {}|{}", cell(sum.any_speedup(), regions ? region_target(s) : target(t, s)),
                   cell(sum.once_speedup(), regions ? std::nullopt : once_target(t, s)));
      }
      fmt::print("\n");
    }
    const double limit = arena_.dense_tflops(options_.type());
    for (const std::int64_t t : tokens)
      for (const double s : sparsities) {
        const Sum& sum = sums_[{t, s}];
        if (!sum.measured()) continue;
        fmt::print(
            "N={:<5}{:>4.3g} %  dense {:>7.1f} us {:>4.0f} TFLOP/s ({:>3.0f} %), any {:>7.1f} us {}, once "
            "{:>7.1f} us {} ({:.3f} of a bitmap's bytes); worst {:.3f} {}; spread {:.1f} %\n",
            t, 100 * s, sum.dense, sum.tflops(sum.dense), 100 * sum.tflops(sum.dense) / limit, sum.any,
            names(sum.winners), sum.once, names(sum.once_winners), sum.bound > 0 ? sum.bytes / sum.bound : 0,
            sum.worst, sum.worst_name, 100 * sum.spread);
        std::string forms;
        for (const auto& [name, us] : sum.forms) forms += fmt::format(" {} {:.1f}", name, us);
        fmt::print("      {}\n", forms);
      }
    fmt::print(
        "(\"-\": below the project's target; most dense TFLOP/s {:.0f}; {}; packing took {:.0f} s of {} "
        "threads)\n",
        limit, state_.text(), packing_, options_.threads);
  }

  nlohmann::json json() const {
    nlohmann::json table = nlohmann::json::array();
    for (const auto& [key, sum] : sums_)
      if (sum.measured())
        table.push_back({{"mask", mask_},
                         {"tokens", key.first},
                         {"sparsity", key.second},
                         {"dense_us", sum.dense},
                         {"any_us", sum.any},
                         {"once_us", sum.once},
                         {"any", sum.any_speedup()},
                         {"once", sum.once_speedup()},
                         {"once_bytes_over_bitmap", sum.bound > 0 ? sum.bytes / sum.bound : 0},
                         {"worst", sum.worst},
                         {"winners", names(sum.winners)},
                         {"once_winners", names(sum.once_winners)},
                         {"forms_us", sum.forms}});
    return {{"table", table}, {"rows", rows_}};
  }

 private:
  Arena& arena_;
  const PartOptions& options_;
  std::string mask_;
  GpuState state_;
  std::map<std::pair<std::int64_t, double>, Sum> sums_;
  nlohmann::json rows_ = nlohmann::json::array();
  double packing_ = 0;
};

}  // namespace

nlohmann::json prefill_part(Arena& arena, const PartOptions& options) {
  const auto tokens = either<std::int64_t>(
      options.tokens, options.all ? std::vector<std::int64_t>{128, 256, 512, 1024, 2048, 4096, 8192}
                                  : std::vector<std::int64_t>{128, 512, 1024, 4096});
  const auto sparsities = either<double>(
      options.sparsities, options.all
                              ? std::vector<double>{0, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995}
                              : std::vector<double>{0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995});
  fmt::print(
      "{}: sum of Llama-2-7B's four products, {}; the baseline multiplies the same weights, zeros included\n",
      arena.device().name, options.dtype);
  Table iid(arena, options, "i.i.d.");
  iid.measure(sparsities, tokens, [&](const Shape& shape, double s, std::uint64_t seed) {
    return iid_weight(options.type(), shape, 1 - s, seed);
  });
  iid.print(sparsities, tokens, false);
  nlohmann::json result = {{"iid", iid.json()}};
  if (!options.sparsities.empty() || !options.tokens.empty()) return result;
  const std::vector<double> means = {0.6, 0.7, 0.8, 0.9};
  Table regions(arena, options, "128x128 regions of 30 to 99 %, mean as given:");
  regions.measure(means, {1024}, [&](const Shape& shape, double s, std::uint64_t seed) {
    return region_weight_of_mean(options.type(), shape, s, seed);
  });
  regions.print(means, {1024}, true);
  result["regions"] = regions.json();
  return result;
}

}  // namespace cross_bench
