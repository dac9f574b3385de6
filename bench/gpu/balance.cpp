#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "compiler/balance/workers.h"
#include "driver/cuda/worker_times.h"
#include "gpu/cross_runs.h"
#include "gpu/parts.h"

namespace cross_bench {
namespace {

using cross::DType;
using cross::compiler::CrossPanelsOptions;
using cross::driver::cuda::mean;
using cross::driver::cuda::worker_times;
using cross::driver::cuda::WorkerTimes;
using Units = CrossPanelsOptions::Units;
using Policy = CrossPanelsOptions::Policy;

constexpr std::int64_t item_tokens = 128;  ///< of one item of the batch
constexpr std::int64_t most_items = 8;     ///< of one launch
constexpr std::int64_t ablation_tokens = 1024;

struct NamedPolicy {
  const char* name;
  Policy policy;
};
constexpr NamedPolicy policies[] = {{"same", Policy::same},
                                    {"paired", Policy::paired},
                                    {"longest_first", Policy::longest_first},
                                    {"even_cut", Policy::even_cut}};

struct Mask {
  std::string name;
  Weight weight;
};

double worker_imbalance(const std::vector<double>& times) { return cross::compiler::imbalance_of(times); }

const std::vector<std::int64_t> all_items = {1, 2, 4, 8, 16, 32, 64};
/// What differs from mask to mask shows in few of them; more than eight run eight at a time.
const std::vector<std::int64_t> few_items = {1, 2, 8};

/// Batch sizes against policies, blocks where the balance put them.
nlohmann::json batches(Arena& arena, const Mask& mask, const std::vector<std::int64_t>& items,
                       const PartOptions& options) {
  std::vector<std::int64_t> tokens;
  for (const std::int64_t n : items) tokens.push_back(n * item_tokens);
  PackedForms forms = bare(mask.weight, tokens);
  std::vector<CrossForm> packed;
  for (const NamedPolicy& one : policies) {
    packed.push_back(pack_cross(mask.weight, arena.device(), one.name, {Units::balanced, one.policy, 0},
                                ablation_tokens, options.threads));
    forms.others.push_back(packed.back().plan);
    forms.others.back().name = one.name;
  }
  fmt::print("{}: batch of items of {} tokens: us (imbalance predicted / measured)\n{:>6} {:>9}", mask.name,
             item_tokens, "items", "cuBLASLt");
  for (const NamedPolicy& one : policies) fmt::print(" {:>24}", one.name);
  fmt::print("\n");
  nlohmann::json rows = nlohmann::json::array();
  for (auto t = tokens.rbegin(); t != tokens.rend(); ++t) {
    const std::int64_t n = *t / item_tokens;
    const Contest contest =
        arena.run(forms, *t, {.chains = false, .burst = options.short_burst(), .keep_all = true});
    fmt::print("{:>6} {:>9.1f}", n, contest.dense_us);
    for (const CrossForm& form : packed) {
      const auto entry = std::find_if(contest.entries.begin(), contest.entries.end(),
                                      [&](const Entry& e) { return e.name == form.name; });
      nlohmann::json row = {{"mask", mask.name},
                            {"items", n},
                            {"policy", form.name},
                            {"us", entry->us},
                            {"dense_us", contest.dense_us}};
      if (n <= most_items) {
        const double predicted = form.decision.imbalance[static_cast<std::size_t>(n - 1)];
        const WorkerTimes times = worker_times(form.plan, arena.device(), *t);
        const double measured = worker_imbalance(times.all());
        row["predicted_imbalance"] = predicted;
        row["measured_imbalance"] = measured;
        row["tensor_us"] = mean(times.tensor);
        row["gather_us"] = mean(times.gather);
        fmt::print(" {:>9.1f} ({:>4.2f} / {:>4.2f})", entry->us, predicted, measured);
      } else {
        fmt::print(" {:>9.1f} {:>14}", entry->us, "");
      }
      rows.push_back(std::move(row));
    }
    fmt::print("\n");
  }
  return rows;
}

/// Each step of CROSS added to those before, at 1024 tokens; then every block on one unit, and other orders
/// of rows and columns.
nlohmann::json ablation(Arena& arena, const Mask& mask, const PartOptions& options) {
  struct Step {
    const char* name;
    CrossPanelsOptions options;
  };
  const Step steps[] = {{"tensor cores alone", {Units::all_tensor, Policy::same, 0}},
                        {"+ partition", {Units::bands_only, Policy::same, 0}},
                        {"+ intra-batch balance", {Units::balanced, Policy::same, 0}},
                        {"+ inter-batch, paired", {Units::balanced, Policy::paired, 0}},
                        {"+ inter-batch, automatic", {Units::balanced, Policy::automatic, 0}},
                        {"tensor cores, automatic", {Units::all_tensor, Policy::automatic, 0}},
                        {"CUDA cores, automatic", {Units::all_gather, Policy::automatic, 0}}};
  fmt::print("{}: {} tokens, each step added to those before\n", mask.name, ablation_tokens);
  nlohmann::json rows = nlohmann::json::array();
  double dense_us = 0, full_us = 0;
  const auto measure = [&](const Weight& weight, const std::vector<Step>& which, const std::string& order) {
    PackedForms forms = bare(weight, {ablation_tokens});
    std::vector<CrossForm> packed;
    for (const Step& step : which) {
      packed.push_back(
          pack_cross(weight, arena.device(), step.name, step.options, ablation_tokens, options.threads));
      forms.others.push_back(packed.back().plan);
      forms.others.back().name = step.name;
    }
    const Contest contest = arena.run(forms, ablation_tokens,
                                      {.chains = false, .burst = options.short_burst(), .keep_all = true});
    if (dense_us == 0) dense_us = contest.dense_us;
    for (const CrossForm& form : packed) {
      const auto entry = std::find_if(contest.entries.begin(), contest.entries.end(),
                                      [&](const Entry& e) { return e.name == form.name; });
      const WorkerTimes times = worker_times(form.plan, arena.device(), ablation_tokens);
      const auto& d = form.decision;
      const std::string name = order.empty() ? form.name : order;
      if (name == "+ inter-batch, automatic") full_us = entry->us;
      fmt::print(
          "  {:<26} {:>8.1f} us {:>5.2f}x of cuBLASLt; {} blocks on tensor cores, {} on CUDA cores; workers' "
          "tensor "
          "{:.1f} us, gather {:.1f} us; imbalance {:.2f} / {:.2f}\n",
          name, entry->us, contest.dense_us / entry->us, d.tensor_steps, d.gathered_steps, mean(times.tensor),
          mean(times.gather), d.imbalance.back(), worker_imbalance(times.all()));
      rows.push_back({{"mask", mask.name},
                      {"step", name},
                      {"us", entry->us},
                      {"dense_us", contest.dense_us},
                      {"tensor_blocks", d.tensor_steps},
                      {"gathered_blocks", d.gathered_steps},
                      {"bands", {d.bands.dense, d.bands.swing, d.bands.sparse}},
                      {"tensor_us", mean(times.tensor)},
                      {"gather_us", mean(times.gather)},
                      {"predicted_before", d.before},
                      {"predicted_after", d.after},
                      {"predicted_imbalance", d.imbalance.back()},
                      {"measured_imbalance", worker_imbalance(times.all())}});
    }
  };
  measure(mask.weight, {std::begin(steps), std::end(steps)}, "");
  const std::vector<Step> full = {steps[4]};
  measure(sorted_weight(mask.weight, true, false), full, "rows by density");
  measure(sorted_weight(mask.weight, false, true), full, "columns by density");
  measure(sorted_weight(mask.weight, true, true), full, "both");
  return {{"rows", rows}, {"dense_us", dense_us}, {"full_us", full_us}};
}

}  // namespace

nlohmann::json balance_part(Arena& arena, const PartOptions& options) {
  constexpr Shape shape{4096, 4096};
  std::vector<std::function<Mask()>> masks;
  const auto add_iid = [&](double s) {
    masks.emplace_back([=, seed = options.seed] {
      return Mask{fmt::format("{} i.i.d. {:.0f} %", text_of(shape), 100 * s),
                  iid_weight(DType::fp32, shape, 1 - s, seed)};
    });
  };
  add_iid(0.7);
  for (const std::string& file : options.files)
    masks.emplace_back([=] {
      Mask mask{file.substr(file.find_last_of('/') + 1), pattern_weight(file, DType::fp32)};
      mask.name +=
          fmt::format(" ({}, {:.0f} %)", text_of(mask.weight.shape), 100 * (1 - mask.weight.density()));
      return mask;
    });
  for (const double s : options.all ? std::vector<double>{0.7, 0.8, 0.9} : std::vector<double>{0.8})
    masks.emplace_back([=, seed = options.seed] {
      return Mask{fmt::format("{} regions of 30 to 99 %, {:.0f} %", text_of(shape), 100 * s),
                  region_weight_of_mean(DType::fp32, shape, s, seed)};
    });
  if (options.all) add_iid(0.9);
  fmt::print("{}: fp32, format cross_panels; policies and steps forced\n", arena.device().name);
  nlohmann::json batch_rows = nlohmann::json::array(), ablations = nlohmann::json::array();
  for (const auto& make : masks) {
    const Mask mask = make();
    const bool all = options.all || batch_rows.empty();
    batch_rows.push_back(batches(arena, mask, all ? all_items : few_items, options));
    ablations.push_back(ablation(arena, mask, options));
  }
  return {{"batches", batch_rows}, {"ablations", ablations}};
}

}  // namespace cross_bench
