#include <fmt/format.h>

#include <algorithm>

#include "gpu/gpu_state.h"
#include "gpu/parts.h"

namespace cross_bench {
namespace {

constexpr std::int64_t extents[] = {16, 32, 64, 128};

}  // namespace

nlohmann::json block_part(Arena& arena, const PartOptions& options) {
  auto tokens = either<std::int64_t>(options.tokens, options.all ? std::vector<std::int64_t>{256, 1024, 4096}
                                                                 : std::vector<std::int64_t>{4096});
  std::sort(tokens.rbegin(), tokens.rend());
  const auto sparsities = either<double>(options.sparsities, {0.8, 0.9});
  std::vector<Shape> shapes = {{4096, 4096}};
  if (options.all) shapes.assign(std::begin(llama_shapes), std::end(llama_shapes));
  struct Case {
    std::int64_t extent;
    double sparsity;
  };
  std::vector<Case> cases;
  std::vector<std::function<Weight()>> makers;
  for (const Shape& shape : shapes)
    for (const std::int64_t extent : extents)
      for (const double s : sparsities) {
        cases.push_back({extent, s});
        makers.emplace_back([&, shape, extent, s] {
          return block_weight(options.type(), shape, extent, 1 - s, options.seed);
        });
      }
  fmt::print(
      "{}: blocks that are whole or empty, {}\n{:>12} {:>8} {:>8} {:>5} {:>9} {:>8} {:>8} {:>8} {:>9}  {}\n",
      arena.device().name, options.dtype, "shape", "blocks", "sparsity", "N", "cuBLASLt", "best us",
      "x dense", "1 / dens", "of limit", "by, and every form");
  GpuState state(arena.device().index);
  nlohmann::json rows = nlohmann::json::array();
  pipelined(arena, makers, {tokens, options.formats}, options.threads,
            [&](std::size_t i, const PackedForms& forms) {
              for (const std::int64_t t : tokens) {
                const Contest contest =
                    arena.run(forms, t, {.chains = false, .expansion = true, .burst = options.burst_for(t)});
                state.sample();
                std::string entries;
                for (const Entry& entry : contest.entries)
                  entries += fmt::format(" {} {:.1f}", entry.name, entry.us);
                const double useful = contest.tflops(contest.best_us()) * contest.density;
                fmt::print(
                    "{:>12} {:>8} {:>6.1f} % {:>5} {:>9.1f} {:>8.1f} {:>7.2f}x {:>7.2f}x {:>7.0f} %  {}:{}\n",
                    text_of(contest.shape), fmt::format("{0}x{0}", cases[i].extent),
                    100 * (1 - contest.density), t, contest.dense_us, contest.best_us(),
                    contest.dense_us / contest.best_us(), 1 / contest.density,
                    100 * useful / arena.dense_tflops(options.type()), contest.best_name(), entries);
                rows.push_back(json_of(contest));
                rows.back()["block"] = cases[i].extent;
                rows.back()["asked_sparsity"] = cases[i].sparsity;
              }
            });
  fmt::print("(of limit: useful multiply-adds against the most that a dense product reached; {})\n",
             state.text());
  return {{"rows", rows}};
}

}  // namespace cross_bench
