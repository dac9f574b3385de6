#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "cross/compile.h"
#include "cross/executor.h"
#include "cuda/random.h"
#include "gpu/cusparselt.h"
#include "gpu/gpu_state.h"
#include "gpu/parts.h"
#include "gpu/planned.h"

namespace cross_bench {
namespace {

/// x and y of one weight, what y must be, and cuSPARSELt's product where the library is there.
struct Sides {
  cross::cuda::DeviceBuffer x, y;
  std::unique_ptr<CuSparseLtProduct> library;
  std::unique_ptr<SampledProduct> reference;

  Sides(const cross::cuda::CuSparseLt& cusparselt, const Weight& weight,
        const std::vector<std::int64_t>& tokens, std::size_t l2_bytes)
      : x(static_cast<std::size_t>(tokens.front() * weight.shape.cols) * 2, "activations"),
        y(static_cast<std::size_t>(tokens.front() * weight.shape.rows) * 2, "results") {
    cross::cuda::fill_random(x, weight.dtype, tokens.front() * weight.shape.cols, 1.0, 7);
    const auto sample = SampledProduct::sample_tokens(tokens);
    reference = std::make_unique<SampledProduct>(weight, sample, rows(x, sample, weight.shape.cols));
    if (cusparselt.here()) library = std::make_unique<CuSparseLtProduct>(cusparselt, weight, l2_bytes);
  }

  /// The rows of a buffer that a sample wants.
  static std::vector<std::byte> rows(const cross::cuda::DeviceBuffer& buffer,
                                     std::span<const std::int64_t> tokens, std::int64_t extent) {
    const std::size_t bytes = static_cast<std::size_t>(extent) * 2;
    std::vector<std::byte> values(tokens.size() * bytes);
    for (std::size_t i = 0; i < tokens.size(); ++i)
      buffer.download(std::span(values).subspan(i * bytes, bytes),
                      static_cast<std::size_t>(tokens[i]) * bytes);
    return values;
  }
};

struct Sum {
  double dense = 0, best = 0, library = 0, plan = 0;
  std::map<std::string, double> forms;
};

}  // namespace

nlohmann::json two_four_part(Arena& arena, const PartOptions& options) {
  auto tokens = either<std::int64_t>(
      options.tokens, options.all ? std::vector<std::int64_t>{64, 128, 256, 512, 1024, 2048, 4096, 8192}
                                  : std::vector<std::int64_t>{128, 1024, 4096});
  std::sort(tokens.rbegin(), tokens.rend());
  const cross::cuda::CuSparseLt library;
  fmt::print("{}: exact 2:4 masks, {}, Llama-2-7B's products; {}\n", arena.device().name, options.dtype,
             library.here() ? "cuSPARSELt " + library.version() : "without cuSPARSELt: " + library.missing());
  fmt::print("{:>12} {:>5} {:>9} {:>8} {:>8} {:>7} {:>10} {:>8} {:>9} {:>8} {:>7}  {}\n", "shape", "N",
             "cuBLASLt", "TFLOP/s", "best us", "x dense", "cuSPARSELt", "x dense", "ours / it", "plan us",
             "x dense", "the plan's choice; every form of ours");
  GpuState state(arena.device().index);
  const int threads = options.threads > 0 ? options.threads : cross::available_cores();
  const auto target = cross::driver::cuda::open_target(arena.device().index);
  const cross::CostProfile profile =
      cross::find_profile(options.profile, threads, fmt::format("cuda:{}", arena.device().index));
  std::vector<std::function<Weight()>> makers;
  for (const Shape& shape : llama_shapes)
    makers.emplace_back([&, shape] { return n_m_weight(options.type(), shape, 2, 4, options.seed); });
  nlohmann::json rows = nlohmann::json::array();
  std::map<std::int64_t, Sum> sums;
  pipelined(
      arena, makers, {tokens, options.formats}, options.threads, [&](std::size_t, const PackedForms& forms) {
        Sides sides(library, forms.weight, tokens, arena.device().l2_bytes);
        for (const std::int64_t t : tokens) {
          ContestOptions contest_options{.chains = false, .expansion = true, .burst = options.burst_for(t)};
          const cross::LayerPlan plan = planned(forms.weight, t, profile, target, true, threads);
          cross::driver::cuda::TimedLayer timed(plan, forms.weight.dtype, arena.device(), arena.library());
          timed.use(t);
          const cross::cuda::Stream stream;
          timed.enqueue(0, stream.get());
          stream.wait();
          sides.reference->check(timed.y_of(sides.reference->tokens_below(t)), t, "the plan");
          contest_options.rivals.push_back(
              {"plan", [&](int launch, void* on) { timed.enqueue(launch, on); }, timed.launches(), true});
          if (sides.library != nullptr) {
            sides.library->use(t, sides.x.data(), sides.y.data());
            sides.library->enqueue(0, stream.get());
            stream.wait();
            sides.reference->check(
                Sides::rows(sides.y, sides.reference->tokens_below(t), forms.weight.shape.rows), t,
                "cuSPARSELt");
            contest_options.rivals.push_back(
                {"cusparselt", [&](int launch, void* on) { sides.library->enqueue(launch, on); },
                 sides.library->copies(), true});
          }
          const Contest contest = arena.run(forms, t, contest_options);
          state.sample();
          const double plan_us = contest.rivals.front().us;
          const double theirs = sides.library == nullptr ? 0 : contest.rivals.back().us;
          Sum& sum = sums[t];
          if (sides.library != nullptr && sum.dense == 0)
            fmt::print("  cuSPARSELt at {} tokens: fastest of {} algorithms\n", t,
                       sides.library->algorithms());
          sum.dense += contest.dense_us;
          sum.best += contest.best_us();
          sum.library += theirs;
          sum.plan += plan_us;
          std::string entries;
          for (const Entry& entry : contest.entries) {
            entries += fmt::format(" {} {:.1f}", entry.name, entry.us);
            sum.forms[entry.name] += entry.us;
          }
          fmt::print(
              "{:>12} {:>5} {:>9.1f} {:>8.0f} {:>8.1f} {:>6.2f}x {:>10.1f} {:>7.2f}x {:>8.2f}x {:>8.1f} "
              "{:>6.2f}x  {};{}\n",
              text_of(contest.shape), t, contest.dense_us, contest.tflops(contest.dense_us),
              contest.best_us(), contest.dense_us / contest.best_us(), theirs,
              theirs > 0 ? contest.dense_us / theirs : 0, theirs / contest.best_us(), plan_us,
              contest.dense_us / plan_us, way_of(plan, t), entries);
          rows.push_back(json_of(contest));
          rows.back()["plan"] = way_of(plan, t);
          if (sides.library != nullptr) rows.back()["cusparselt_algorithms"] = sides.library->algorithms();
        }
      });
  std::reverse(tokens.begin(), tokens.end());
  nlohmann::json table = nlohmann::json::array();
  for (const std::int64_t t : tokens) {
    const Sum& sum = sums[t];
    const auto below = [&](double ratio, double least) { return t >= 1024 && ratio < least ? "-" : " "; };
    const double gain = sum.dense / sum.best, planned_gain = sum.dense / sum.plan;
    const double against = sum.library / sum.best;
    fmt::print(
        "sum of four {:>6} {:>9.1f} {:>17.1f} {:>6.2f}x{} {:>9.1f} {:>7.2f}x {:>8.2f}x{} {:>7.1f} "
        "{:>6.2f}x{}\n",
        t, sum.dense, sum.best, gain, below(gain, 1.45), sum.library,
        sum.library > 0 ? sum.dense / sum.library : 0, against, sum.library > 0 ? below(against, 0.97) : " ",
        sum.plan, planned_gain, below(planned_gain, 1.45));
    table.push_back({{"tokens", t},
                     {"dense_us", sum.dense},
                     {"best_us", sum.best},
                     {"cusparselt_us", sum.library},
                     {"plan_us", sum.plan},
                     {"forms_us", sum.forms}});
  }
  fmt::print("(\"-\": below the project's target; {})\n", state.text());
  return {{"table", table},
          {"rows", rows},
          {"cusparselt", library.here() ? library.version() : library.missing()}};
}

}  // namespace cross_bench
