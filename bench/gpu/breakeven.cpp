#include <fmt/format.h>

#include <cmath>
#include <fstream>

#include "cross/error.h"
#include "cuda/random.h"
#include "cuda/replay.h"
#include "gpu/cusparse.h"
#include "gpu/parts.h"
#include "plot.h"

namespace cross_bench {
namespace {

using cross::DType;
using cross::cuda::DeviceBuffer;
using cross::cuda::Replay;

/// BERT-base's weights: attention, and both halves of its FFN.
constexpr Shape bert_shapes[] = {{768, 768}, {3072, 768}, {768, 3072}};
constexpr double sparsities[] = {0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 0.98, 0.99};
constexpr std::int64_t token_counts[] = {1, 16, 128};

/// µs of cuSPARSE's fastest algorithm; 0 if it has none.
double cusparse_us(CuSparseProduct& product, const Csr& csr, std::int64_t tokens, double seconds) {
  const auto bytes = [&](std::int64_t n) {
    return static_cast<std::size_t>(tokens * n) * size_of(csr.dtype);
  };
  const DeviceBuffer x(bytes(csr.shape.cols), "x"), y(bytes(csr.shape.rows), "y");
  cross::cuda::fill_random(x, csr.dtype, tokens * csr.shape.cols, 1.0, 7);
  product.use(tokens, x.data(), y.data());
  double best = 0;
  for (int algorithm = 0; algorithm < product.algorithms(); ++algorithm) {
    product.choose(algorithm);
    const cross::cuda::Stream stream;
    if (!product.enqueue(0, stream.get())) continue;
    stream.wait();
    try {
      Replay replay(std::max(product.copies(), 16), [&](int launch, void* on) {
        if (!product.enqueue(launch, on)) throw cross::InternalError("cuSPARSE refuses");
      });
      const double us =
          cross::cuda::summary(cross::cuda::interleave({&replay}, {.seconds = seconds, .least = 3})[0])
              .median_us;
      if (best == 0 || us < best) best = us;
    } catch (const cross::InternalError&) {
      continue;  // an algorithm that cannot be captured
    }
  }
  return best;
}

struct Logs {
  double ours = 0, theirs = 0;
  int count = 0;
};

}  // namespace

nlohmann::json breakeven_part(Arena& arena, const PartOptions& options) {
  fmt::print(
      "{}: BERT-base's weights, i.i.d. masks: speed-up over cuBLASLt (fp32: true fp32), cuSPARSE {} CSR\n"
      "geometric mean of 768x768, 3072x768 and 768x3072\n",
      arena.device().name, cusparse_version());
  nlohmann::json rows = nlohmann::json::array();
  std::map<std::tuple<DType, std::int64_t, double>, Logs> logs;
  struct Case {
    DType dtype;
    double sparsity;
  };
  std::vector<Case> cases;
  std::vector<std::function<Weight()>> makers;
  for (const DType dtype : {DType::fp16, DType::fp32})
    for (const double s : sparsities)
      for (const Shape& shape : bert_shapes) {
        cases.push_back({dtype, s});
        makers.emplace_back([=, seed = options.seed] { return iid_weight(dtype, shape, 1 - s, seed); });
      }
  const std::vector<std::int64_t> tokens(std::begin(token_counts), std::end(token_counts));
  pipelined(arena, makers, {tokens, options.formats}, options.threads,
            [&](std::size_t i, const PackedForms& forms) {
              const auto [dtype, s] = cases[i];
              const Csr csr = csr_of(forms.weight);
              CuSparseProduct cusparse(csr, arena.device().l2_bytes);
              for (const std::int64_t t : tokens) {
                const Contest contest =
                    arena.run(forms, t, {.seconds = options.seconds, .chains = false, .expansion = true});
                const double theirs = cusparse_us(cusparse, csr, t, options.seconds / 3);
                rows.push_back(json_of(contest));
                rows.back()["dtype"] = name_of(dtype);
                rows.back()["asked_sparsity"] = s;
                rows.back()["cusparse_us"] = theirs;
                Logs& sum = logs[{dtype, t, s}];
                sum.ours += std::log(contest.dense_us / contest.best_us());
                sum.theirs += theirs > 0 ? std::log(contest.dense_us / theirs) : 0;
                ++sum.count;
              }
            });
  std::vector<Panel> panels;
  for (const DType dtype : {DType::fp16, DType::fp32})
    for (const std::int64_t t : tokens) {
      Panel panel{fmt::format("{}, N = {}", name_of(dtype), t),
                  {{"CROSS", 0, false, {}}, {"cuSPARSE", 1, true, {}}}};
      fmt::print("{} N={:<4}", name_of(dtype), t);
      for (const double s : sparsities) fmt::print("{:>14.0f} %", 100 * s);
      fmt::print("\n  ours | theirs");
      for (const double s : sparsities) {
        const Logs& sum = logs[{dtype, t, s}];
        const double ours = std::exp(sum.ours / sum.count), theirs = std::exp(sum.theirs / sum.count);
        fmt::print("  {:>5.2f}x |{:>5.2f}x", ours, theirs);
        panel.curves[0].points.emplace_back(s, ours);
        panel.curves[1].points.emplace_back(s, theirs);
      }
      fmt::print("\n");
      panels.push_back(std::move(panel));
    }
  if (!options.plot.empty()) {
    std::ofstream file(options.plot);
    file << svg_of(panels,
                   fmt::format("Speed-up over cuBLASLt on BERT-base's weights, {}", arena.device().name));
    if (!file.flush()) throw cross::UsageError(fmt::format("{}: cannot be written", options.plot));
  }
  return {{"rows", rows}, {"cusparse", cusparse_version()}};
}

}  // namespace cross_bench
