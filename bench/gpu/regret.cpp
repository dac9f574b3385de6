#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "cross/error.h"
#include "cross/executor.h"
#include "driver/cuda/family.h"
#include "gpu/parts.h"
#include "gpu/planned.h"

namespace cross_bench {
namespace {

/// Sizes that calibration does not measure (Llama-2-13B, GPT-2 medium and others).
struct Synthetic {
  Shape shape;
  double sparsity;
};
constexpr Synthetic synthetic[] = {{{5120, 5120}, 0.55},  {{5120, 5120}, 0.85}, {{13824, 5120}, 0.65},
                                   {{5120, 13824}, 0.75}, {{1024, 4096}, 0.72}, {{4096, 1024}, 0.88},
                                   {{3072, 1024}, 0.93},  {{1536, 6144}, 0.45}, {{6144, 2304}, 0.97}};

struct Sample {
  std::string name;
  std::function<Weight()> make;
};

/// From here on sides take turns of long bursts.
constexpr std::int64_t many_tokens = 128;

double us_of(const Contest& contest, const std::string& name) {
  if (name == "dense") return contest.dense_plan_us;
  for (const Entry& entry : contest.entries)
    if (entry.name == name) return entry.us;
  throw cross::InternalError("regret: the contest has no " + name);
}

struct Summary {
  double logs = 0, worst = 1;
  int count = 0;
  void add(double regret) {
    logs += std::log(regret);
    worst = std::max(worst, regret);
    ++count;
  }
  std::string text() const {
    return fmt::format("{} choices: geometric mean {:.3f}, worst {:.3f}", count, std::exp(logs / count),
                       worst);
  }
};

}  // namespace

nlohmann::json regret_part(Arena& arena, const PartOptions& options) {
  const std::vector<std::int64_t> tokens =
      options.tokens.empty() ? std::vector<std::int64_t>{1, 8, 32, 128, 1024} : options.tokens;
  const int threads = options.threads > 0 ? options.threads : cross::available_cores();
  const auto target = cross::driver::cuda::open_target(arena.device().index);
  const cross::CostProfile profile =
      cross::find_profile(options.profile, threads, fmt::format("cuda:{}", arena.device().index));
  std::vector<Sample> samples;
  for (const std::string& file : options.files) {
    const std::size_t folder = file.find("dlmc/");
    samples.push_back({folder == std::string::npos ? file : file.substr(folder + 5),
                       [=, type = options.type()] { return pattern_weight(file, type); }});
  }
  for (const Synthetic& one : synthetic)
    samples.push_back({fmt::format("{} i.i.d. {:.0f} %", text_of(one.shape), 100 * one.sparsity),
                       [=, type = options.type(), seed = options.seed + 1000] {
                         return iid_weight(type, one.shape, 1 - one.sparsity, seed);
                       }});
  std::vector<std::function<Weight()>> makers;
  for (const Sample& sample : samples) makers.push_back(sample.make);

  fmt::print("{}: regret of plans chosen by prices alone, and with measured last word; prices: {}\n",
             arena.device().name, profile.source);
  Summary by_prices, measured;
  double most_loss = 0;  // time of a plan over cuBLASLt's fastest algorithm of all
  std::string most_loss_at;
  nlohmann::json rows = nlohmann::json::array();
  pipelined(arena, makers, {tokens, options.formats}, threads, [&](std::size_t i, const PackedForms& forms) {
    for (const std::int64_t t : tokens) {
      const std::string priced = way_of(planned(forms.weight, t, profile, target, false, threads), t);
      const std::string timed = way_of(planned(forms.weight, t, profile, target, true, threads), t);
      const Contest contest = arena.run(forms, t,
                                        {.seconds = 2 * options.seconds,
                                         .chains = false,
                                         .expansion = true,
                                         .burst = t < many_tokens ? 0 : options.short_burst(),
                                         .keep_all = true});
      const double best = contest.best_us();
      const double regret = us_of(contest, priced) / best, measured_regret = us_of(contest, timed) / best;
      const double loss = us_of(contest, timed) / contest.dense_us;
      if (loss > most_loss) {
        most_loss = loss;
        most_loss_at = fmt::format("{} at {} tokens by {}", samples[i].name, t, timed);
      }
      by_prices.add(regret);
      measured.add(measured_regret);
      if (regret > 1.05 || measured_regret > 1.05)
        fmt::print("{:.3f} {:.3f}  N={:<4} prices {:16} measured {:16} best {:16} {}\n", regret,
                   measured_regret, t, priced, timed, contest.best_name(), samples[i].name);
      rows.push_back(json_of(contest));
      rows.back()["sample"] = samples[i].name;
      rows.back()["by_prices"] = priced;
      rows.back()["by_measuring"] = timed;
      rows.back()["regret"] = regret;
      rows.back()["measured_regret"] = measured_regret;
    }
  });
  fmt::print("by prices alone, {}\nwith measured last word, {}\n", by_prices.text(), measured.text());
  fmt::print("most that a plan loses to cuBLASLt's fastest algorithm: {:.3f} of its time, {}\n", most_loss,
             most_loss_at);
  return {{"rows", rows},
          {"most_loss", most_loss},
          {"most_loss_at", most_loss_at},
          {"profile", profile.key.text()},
          {"profile_source", profile.source}};
}

}  // namespace cross_bench
