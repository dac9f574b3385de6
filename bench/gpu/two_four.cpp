#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "cuda/random.h"
#include "gpu/cusparselt.h"
#include "gpu/gpu_state.h"
#include "gpu/parts.h"

namespace cross_bench {
namespace {

/// x, y and cuSPARSELt's product of one weight.
struct LibrarySide {
  cross::cuda::DeviceBuffer x, y;
  CuSparseLtProduct product;

  LibrarySide(const cross::cuda::CuSparseLt& library, const PackedForms& forms, std::int64_t most,
              std::size_t l2_bytes)
      : x(static_cast<std::size_t>(most * forms.weight.shape.cols) * 2, "activations"),
        y(static_cast<std::size_t>(most * forms.weight.shape.rows) * 2, "results"),
        product(library, forms.weight, l2_bytes) {
    cross::cuda::fill_random(x, forms.weight.dtype, most * forms.weight.shape.cols, 1.0, 7);
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
  double dense = 0, best = 0, library = 0, bytes = 0;
  std::map<std::string, int> winners;
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
  fmt::print("{:>12} {:>5} {:>9} {:>8} {:>8} {:>7} {:>10} {:>8} {:>9}  {}\n", "shape", "N", "cuBLASLt",
             "TFLOP/s", "best us", "x dense", "cuSPARSELt", "x dense", "ours / it", "by, and every form");
  GpuState state(arena.device().index);
  std::vector<std::function<Weight()>> makers;
  for (const Shape& shape : llama_shapes)
    makers.emplace_back([&, shape] { return n_m_weight(options.type(), shape, 2, 4, options.seed); });
  nlohmann::json rows = nlohmann::json::array();
  std::map<std::int64_t, Sum> sums;
  pipelined(
      arena, makers, {tokens, options.formats}, options.threads, [&](std::size_t, const PackedForms& forms) {
        std::unique_ptr<LibrarySide> side;
        std::unique_ptr<SampledProduct> reference;
        if (library.here()) {
          side = std::make_unique<LibrarySide>(library, forms, tokens.front(), arena.device().l2_bytes);
          const auto sample = SampledProduct::sample_tokens(tokens);
          reference = std::make_unique<SampledProduct>(
              forms.weight, sample, LibrarySide::rows(side->x, sample, forms.weight.shape.cols));
        }
        for (const std::int64_t t : tokens) {
          ContestOptions contest_options{.chains = false, .expansion = true, .burst = options.burst};
          if (side != nullptr) {
            side->product.use(t, side->x.data(), side->y.data());
            const cross::cuda::Stream stream;
            side->product.enqueue(0, stream.get());
            stream.wait();
            reference->check(LibrarySide::rows(side->y, reference->tokens_below(t), forms.weight.shape.rows),
                             t, "cuSPARSELt");
            contest_options.rivals.push_back(
                {"cusparselt", [&](int launch, void* on) { side->product.enqueue(launch, on); },
                 side->product.copies(), true});
          }
          const Contest contest = arena.run(forms, t, contest_options);
          state.sample();
          if (side != nullptr && sums.size() <= tokens.size() && sums[t].dense == 0)
            fmt::print("  cuSPARSELt at {} tokens: fastest of {} algorithms\n", t,
                       side->product.algorithms());
          const double theirs = contest.rivals.empty() ? 0 : contest.rivals.front().us;
          Sum& sum = sums[t];
          sum.dense += contest.dense_us;
          sum.best += contest.best_us();
          sum.library += theirs;
          ++sum.winners[contest.best_name()];
          std::string entries;
          for (const Entry& entry : contest.entries) {
            entries += fmt::format(" {} {:.1f}", entry.name, entry.us);
            sum.forms[entry.name] += entry.us;
          }
          fmt::print(
              "{:>12} {:>5} {:>9.1f} {:>8.0f} {:>8.1f} {:>6.2f}x {:>10.1f} {:>7.2f}x {:>8.2f}x  {}:{}\n",
              text_of(contest.shape), t, contest.dense_us, contest.tflops(contest.dense_us),
              contest.best_us(), contest.dense_us / contest.best_us(), theirs,
              theirs > 0 ? contest.dense_us / theirs : 0, theirs / contest.best_us(), contest.best_name(),
              entries);
          rows.push_back(json_of(contest));
          if (side != nullptr) rows.back()["cusparselt_algorithms"] = side->product.algorithms();
        }
      });
  std::reverse(tokens.begin(), tokens.end());
  nlohmann::json table = nlohmann::json::array();
  for (const std::int64_t t : tokens) {
    const Sum& sum = sums[t];
    fmt::print("sum of four {:>5} {:>9.1f} {:>16.1f} {:>6.2f}x{} {:>10.1f} {:>7.2f}x {:>8.2f}x{}\n", t,
               sum.dense, sum.best, sum.dense / sum.best,
               t >= 1024 && sum.dense / sum.best < 1.45 ? "-" : " ", sum.library,
               sum.library > 0 ? sum.dense / sum.library : 0, sum.library / sum.best,
               t >= 1024 && sum.library > 0 && sum.library / sum.best < 0.97 ? "-" : " ");
    table.push_back({{"tokens", t},
                     {"dense_us", sum.dense},
                     {"best_us", sum.best},
                     {"cusparselt_us", sum.library},
                     {"forms_us", sum.forms}});
  }
  fmt::print("(\"-\": below the project's target; {})\n", state.text());
  return {{"table", table},
          {"rows", rows},
          {"cusparselt", library.here() ? library.version() : library.missing()}};
}

}  // namespace cross_bench
