#include <future>

#include "cross/executor.h"
#include "gpu/parts.h"

namespace cross_bench {

void pipelined(Arena& arena, const std::vector<std::function<Weight()>>& makers, const PackWhat& what,
               int threads, const std::function<void(std::size_t, const PackedForms&)>& use) {
  const int workers = threads > 0 ? threads : cross::available_cores();
  const cross::cuda::DeviceInfo device = arena.device();
  const auto start = [&](std::size_t i) {
    return std::async(std::launch::async, [&, i] { return pack_all(makers[i](), device, what, workers); });
  };
  if (makers.empty()) return;
  std::future<PackedForms> next = start(0);
  for (std::size_t i = 0; i < makers.size(); ++i) {
    const PackedForms forms = next.get();
    if (i + 1 < makers.size()) next = start(i + 1);
    use(i, forms);
  }
}

nlohmann::json json_of(const Contest& contest) {
  const auto list = [](const std::vector<Entry>& entries) {
    nlohmann::json array = nlohmann::json::array();
    for (const Entry& entry : entries)
      array.push_back({{"name", entry.name},
                       {"us", entry.us},
                       {"spread", entry.spread},
                       {"chain_us", entry.chain_us},
                       {"bytes", entry.bytes},
                       {"error", entry.error},
                       {"first_look", entry.first_look}});
    return array;
  };
  return {{"m", contest.shape.rows},
          {"k", contest.shape.cols},
          {"tokens", contest.tokens},
          {"seconds_of_a_sample", contest.burst},
          {"sparsity", 1 - contest.density},
          {"dense_us", contest.dense_us},
          {"dense_spread", contest.dense_spread},
          {"dense_plan_us", contest.dense_plan_us},
          {"best", contest.best_name()},
          {"best_us", contest.best_us()},
          {"speedup", contest.dense_us / contest.best_us()},
          {"chain_us", contest.chain_us()},
          {"entries", list(contest.entries)},
          {"rivals", list(contest.rivals)}};
}

}  // namespace cross_bench
