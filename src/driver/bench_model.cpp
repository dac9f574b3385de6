#include "cross/bench_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <random>

#include "cross/encoder.h"
#include "cross/error.h"
#include "driver/baseline.h"
#include "driver/dense_twin.h"
#include "driver/in_turn.h"
#include "driver/machine.h"
#include "driver/similarity.h"
#include "kernels/isa.h"

namespace cross {
namespace {

using clock = std::chrono::steady_clock;

/// The two sides hold the same weights: they differ by rounding, in another order of sums, and no more.
double least_agreement(DType dtype) { return dtype == DType::fp32 ? 0.9999 : 0.999; }

/// Sizes of products that the baseline may choose from; 0 is the whole batch.
constexpr std::int64_t product_tokens[] = {0, 256, 512};

TokenBatch random_batch(const EncoderInfo& info, const ModelBenchOptions& options) {
  if (options.length < 1 || options.length > info.most_tokens)
    throw UsageError(
        fmt::format("sentences of {} tokens: the model takes 1 to {}", options.length, info.most_tokens));
  if (options.sentences < 1 || options.sentences * options.length > (1 << 20))
    throw UsageError(fmt::format("{} sentences of {} tokens make no sense; use 1 to {} tokens in all",
                                 options.sentences, options.length, 1 << 20));
  std::mt19937 random(1);
  TokenBatch batch;
  for (std::int64_t s = 0; s < options.sentences; ++s) {
    std::vector<std::int32_t> ids(static_cast<std::size_t>(options.length));
    for (std::int32_t& id : ids)
      id = static_cast<std::int32_t>(random() % static_cast<std::uint32_t>(info.vocabulary));
    batch.add(ids);
  }
  return batch;
}

/// One side: an encoder, its batch, and how long it takes.
class Side {
 public:
  Side(const Plan& plan, Executor& executor, std::int64_t tokens = -1) : encoder_(plan, executor) {
    if (tokens >= 0) encoder_.set_product_tokens(tokens);
  }
  double run(const TokenBatch& batch) {
    embeddings_.resize(batch.sentences() * static_cast<std::size_t>(encoder_.info().hidden));
    const auto start = clock::now();
    encoder_.embed(batch, embeddings_);
    return std::chrono::duration<double>(clock::now() - start).count();
  }
  Encoder& encoder() { return encoder_; }
  const std::vector<float>& embeddings() const { return embeddings_; }

 private:
  Encoder encoder_;
  std::vector<float> embeddings_;
};

/// A baseline with the plan that it runs, which must not move.
struct Baseline {
  Plan plan;
  std::string name;
  std::unique_ptr<Side> side;
};

std::unique_ptr<Baseline> fastest_baseline(const Plan& plan, Executor& executor,
                                           const ModelBenchOptions& options, const TokenBatch& batch) {
  std::unique_ptr<Baseline> best;
  double best_seconds = 0;
  const auto libraries = driver::baseline_libraries(options.baseline);
  std::size_t step = 0;
  for (const auto library : libraries)
    for (const std::int64_t tokens : product_tokens) {
      auto candidate = std::make_unique<Baseline>();
      candidate->name =
          fmt::format("{} {}, {} a product", name_of(library), kernels::dense_library_version(library),
                      tokens == 0 ? "whole batch" : fmt::format("{} tokens", tokens));
      if (options.on_step)
        options.on_step(step++, libraries.size() * std::size(product_tokens) + 1, candidate->name);
      candidate->plan = driver::dense_twin(plan, std::string(name_of(library)));
      candidate->side = std::make_unique<Side>(candidate->plan, executor, tokens);
      candidate->side->run(batch);  // packs the weights
      const double seconds = std::min(candidate->side->run(batch), candidate->side->run(batch));
      if (best != nullptr && seconds >= best_seconds) continue;
      best_seconds = seconds;
      best = std::move(candidate);
    }
  return best;
}

}  // namespace

double ModelBenchReport::other_share() const { return cross::other_share(parts); }

double other_share(std::span<const ModelBenchPart> parts) {
  double other = 0, all = 0;
  for (const ModelBenchPart& part : parts) {
    all += part.cross_seconds;
    if (!part.product) other += part.cross_seconds;
  }
  return all > 0 ? other / all : 0;
}

ModelBenchReport bench_model(const Plan& plan, const ModelBenchOptions& given) {
  ModelBenchOptions options = given;
  const int threads = driver::resolve_threads(options.threads);
  const auto executor = make_openmp_executor(threads);
  Side cross(plan, *executor);
  const EncoderInfo& info = cross.encoder().info();
  if (options.length == 0) options.length = std::min<std::int64_t>(128, info.most_tokens);
  const TokenBatch batch = random_batch(info, options);

  ModelBenchReport report;
  report.device =
      fmt::format("{}, {}, {} threads", kernels::cpu_name(), name_of(kernels::active_isa()), threads);
  report.architecture = info.architecture;
  report.dtype = name_of(plan.dtype);
  report.sentences = options.sentences;
  report.length = options.length;
  report.sparsity = plan.sparsity();
  const auto dense = fastest_baseline(plan, *executor, options, batch);
  report.baseline = dense->name;
  report.bytes_dense = driver::stored_bytes(dense->plan);
  report.bytes_plan = driver::stored_bytes(plan);

  cross.run(batch);
  report.least_cosine = driver::least_cosine(dense->side->embeddings(), cross.embeddings(), info.hidden);
  if (!(report.least_cosine >= least_agreement(plan.dtype)))
    throw VerificationError(
        fmt::format("an embedding of the plan and that of the dense model have cosine {:.6f}; it "
                    "must be {} or more; nothing was timed",
                    report.least_cosine, least_agreement(plan.dtype)));

  if (options.on_step) options.on_step(0, 1, "both sides in turn");
  driver::time_networks(
      report, dense->side->encoder(), cross.encoder(), [&] { return dense->side->run(batch); },
      [&] { return cross.run(batch); }, options.seconds);
  return report;
}

}  // namespace cross
