#include "cross/evaluate.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <random>

#include "cross/encoder.h"
#include "cross/error.h"
#include "driver/dense_reference.h"
#include "driver/dense_twin.h"
#include "driver/machine.h"
#include "driver/similarity.h"

namespace cross {
namespace {

using clock = std::chrono::steady_clock;

/// Sentences per second, and their embeddings.
struct Pass {
  std::vector<float> embeddings;
  double per_second = 0;
};

Pass run(Encoder& encoder, std::span<const std::string> texts, std::size_t batch) {
  constexpr int passes = 3;  // the first also wakes threads and packs weights
  Pass result;
  for (int i = 0; i < passes; ++i) {
    const auto start = clock::now();
    result.embeddings = encoder.embed(texts, batch);
    const double seconds = std::chrono::duration<double>(clock::now() - start).count();
    result.per_second = std::max(result.per_second, static_cast<double>(texts.size()) / seconds);
  }
  return result;
}

/// Calls use(i, j) for all pairs i < j, or for as many drawn ones as can be ranked in a second.
template <class Use>
void for_pairs(std::size_t count, Use&& use) {
  constexpr std::size_t most = 1'000'000;
  if (count * (count - 1) / 2 <= most) {
    for (std::size_t i = 0; i < count; ++i)
      for (std::size_t j = i + 1; j < count; ++j) use(i, j);
    return;
  }
  std::mt19937_64 random(1);
  for (std::size_t drawn = 0; drawn < most;) {
    const std::size_t i = random() % count, j = random() % count;
    if (i == j) continue;
    use(i, j);
    ++drawn;
  }
}

}  // namespace

Evaluation evaluate(const Plan& plan, const Model& reference, std::span<const std::string> texts,
                    const EvaluateOptions& options) {
  if (texts.size() < 3)
    throw UsageError(fmt::format("{} sentences have too few pairs to rank; give at least 3", texts.size()));
  const int threads = driver::resolve_threads(options.threads);
  const auto executor = make_openmp_executor(threads);
  const auto step = [&](std::size_t number, std::string_view what) {
    if (options.on_step) options.on_step(number, 3, what);
  };
  Encoder encoder(plan, *executor);
  step(0, "reads the reference");
  const Plan dense_plan = driver::dense_reference(reference, threads);
  Encoder dense(dense_plan, *executor);
  if (dense.info().hidden != encoder.info().hidden)
    throw UsageError(
        fmt::format("{}: embeddings have {} values, those of the plan {}; they cannot be compared",
                    reference.path().string(), dense.info().hidden, encoder.info().hidden));
  step(1, "embeds with the reference");
  const Pass expected = run(dense, texts, options.batch);
  step(2, "embeds with the plan");
  const Pass got = run(encoder, texts, options.batch);

  Evaluation result;
  result.sentences = texts.size();
  result.bytes_reference = driver::stored_bytes(dense_plan);
  result.bytes_plan = driver::stored_bytes(plan);
  result.reference_sentences_per_s = expected.per_second;
  result.plan_sentences_per_s = got.per_second;
  const auto hidden = static_cast<std::size_t>(encoder.info().hidden);
  const auto row = [&](const Pass& pass, std::size_t i) {
    return std::span(pass.embeddings).subspan(i * hidden, hidden);
  };
  result.least_cosine = 1;
  for (std::size_t i = 0; i < texts.size(); ++i) {
    const double agreement = driver::cosine(row(expected, i), row(got, i));
    result.mean_cosine += agreement / static_cast<double>(texts.size());
    result.least_cosine = std::min(result.least_cosine, agreement);
  }
  std::vector<double> of_reference, of_plan;
  for_pairs(texts.size(), [&](std::size_t i, std::size_t j) {
    of_reference.push_back(driver::cosine(row(expected, i), row(expected, j)));
    of_plan.push_back(driver::cosine(row(got, i), row(got, j)));
  });
  result.pairs = of_plan.size();
  result.rank_correlation = driver::rank_correlation(of_reference, of_plan);
  return result;
}

}  // namespace cross
