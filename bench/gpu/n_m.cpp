#include <fmt/format.h>

#include "gpu/parts.h"

namespace cross_bench {

nlohmann::json n_m_part(Arena& arena, const PartOptions& options) {
  const std::vector<std::int64_t> tokens =
      options.tokens.empty() ? std::vector<std::int64_t>{1, 8, 16, 64} : options.tokens;
  struct Pattern {
    int keep, group;
  };
  constexpr Pattern patterns[] = {{2, 4}, {3, 4}, {1, 4}};
  std::vector<std::function<Weight()>> makers;
  std::vector<Pattern> pattern_of;
  for (const Pattern& pattern : patterns)
    for (const Shape& shape : llama_shapes) {
      makers.emplace_back([&, pattern, shape] {
        return n_m_weight(options.type(), shape, pattern.keep, pattern.group, options.seed);
      });
      pattern_of.push_back(pattern);
    }
  fmt::print(
      "{}: N:M masks, {}: speed-up over cuBLASLt, and time over what the packed bytes take at the measured "
      "copy "
      "bandwidth of {:.0f} GB/s\n",
      arena.device().name, options.dtype, arena.bandwidth());
  fmt::print("{:>4} {:>12} {:>4} {:>9} {:>8} {:>8} {:>7} {:>9}  {}\n", "N:M", "shape", "N", "cuBLASLt",
             "best us", "speed-up", "chains", "x of bound", "format");
  nlohmann::json rows = nlohmann::json::array();
  pipelined(arena, makers, {tokens, options.formats}, options.threads,
            [&](std::size_t i, const PackedForms& forms) {
              for (const std::int64_t t : tokens) {
                const Contest contest = arena.run(forms, t, {.seconds = options.seconds});
                const std::string name = fmt::format("{}:{}", pattern_of[i].keep, pattern_of[i].group);
                const std::uint64_t bytes = contest.entries.empty() ? 0 : contest.entries.front().bytes;
                const double bound = static_cast<double>(bytes) / arena.bandwidth() * 1e-3;
                fmt::print("{:>4} {:>12} {:>4} {:>9.1f} {:>8.1f} {:>7.2f}x {:>6.2f}x {:>9.2f}  {}\n", name,
                           text_of(contest.shape), t, contest.dense_us, contest.best_us(),
                           contest.dense_us / contest.best_us(), contest.dense_us / contest.chain_us(),
                           bound > 0 ? contest.best_us() / bound : 0.0, contest.best_name());
                rows.push_back(json_of(contest));
                rows.back()["pattern"] = name;
                rows.back()["bytes_bound_us"] = bound;
              }
            });
  return {{"rows", rows}, {"bandwidth_gbytes_per_s", arena.bandwidth()}};
}

}  // namespace cross_bench
