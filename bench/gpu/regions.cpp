#include <fmt/format.h>

#include "gpu/parts.h"

namespace cross_bench {

nlohmann::json regions_part(Arena& arena, const PartOptions& options) {
  const std::vector<std::int64_t> tokens =
      options.tokens.empty() ? std::vector<std::int64_t>{1, 8, 16, 64} : options.tokens;
  constexpr double least = 0.3, most = 0.99;
  std::vector<std::function<Weight()>> makers;
  for (const Shape& shape : llama_shapes) {
    makers.emplace_back(
        [&, shape] { return region_weight(options.type(), shape, least, most, options.seed); });
    makers.emplace_back([&, shape] {
      // Of exactly the mean that the regions drew.
      return iid_weight(options.type(), shape,
                        region_weight(options.type(), shape, least, most, options.seed).density(),
                        options.seed);
    });
  }
  fmt::print("{}: 128x128 regions of 30 to 99 % sparsity against i.i.d. masks of the same mean, {}\n",
             arena.device().name, options.dtype);
  fmt::print("{:>12} {:>8} {:>4} {:>9} {:>16} {:>16}  {}\n", "shape", "sparsity", "N", "cuBLASLt", "regions",
             "i.i.d.", "formats");
  nlohmann::json rows = nlohmann::json::array();
  std::vector<Contest> regions;
  pipelined(arena, makers, {tokens, options.formats}, options.threads,
            [&](std::size_t i, const PackedForms& forms) {
              for (std::size_t t = 0; t < tokens.size(); ++t) {
                const Contest contest = arena.run(forms, tokens[t], {.seconds = options.seconds});
                rows.push_back(json_of(contest));
                rows.back()["mask"] = i % 2 == 0 ? "regions" : "iid";
                if (i % 2 == 0) {
                  regions.push_back(contest);
                  continue;
                }
                const Contest& other = regions[i / 2 * tokens.size() + t];
                fmt::print(
                    "{:>12} {:>6.1f} % {:>4} {:>9.1f} {:>7.1f} ({:>4.2f}x) {:>7.1f} ({:>4.2f}x)  {}, {}\n",
                    text_of(contest.shape), 100 * (1 - contest.density), contest.tokens, contest.dense_us,
                    other.best_us(), other.dense_us / other.best_us(), contest.best_us(),
                    contest.dense_us / contest.best_us(), other.best_name(), contest.best_name());
              }
            });
  return {{"rows", rows}};
}

}  // namespace cross_bench
