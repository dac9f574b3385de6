#include "cross/evaluate_decoder.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <vector>

#include "cross/decoder.h"
#include "cross/error.h"
#include "cross/tokenizer.h"
#include "driver/dense_reference.h"
#include "driver/dense_twin.h"
#include "driver/machine.h"
#include "driver/perplexity.h"

namespace cross {
namespace {

using clock = std::chrono::steady_clock;
using Tokens = std::vector<std::int32_t>;

double seconds_since(clock::time_point start) {
  return std::chrono::duration<double>(clock::now() - start).count();
}

/// Tokens per second one by one, behind a first window that is half full.
double decode_speed(Decoder& decoder, std::span<const std::int32_t> tokens, std::int64_t window) {
  constexpr int passes = 3;
  const std::int64_t most = std::min(window, static_cast<std::int64_t>(tokens.size()));
  const std::int64_t steps = std::clamp<std::int64_t>(most / 2, 1, 16);
  DecoderCache cache = decoder.make_cache(window);
  std::vector<float> logits(static_cast<std::size_t>(decoder.info().vocabulary));
  decoder.run(tokens.first(static_cast<std::size_t>(most - steps)), cache, logits);
  double best = 0;
  for (int pass = 0; pass < passes; ++pass) {
    cache.truncate(most - steps);
    const auto start = clock::now();
    for (std::int64_t t = most - steps; t < most; ++t)
      decoder.run(tokens.subspan(static_cast<std::size_t>(t), 1), cache, logits);
    best = std::max(best, static_cast<double>(steps) / seconds_since(start));
  }
  return best;
}

DecoderScore score(Decoder& decoder, const Plan& plan, std::span<const std::int32_t> tokens,
                   const DecoderEvaluation& shape) {
  DecoderScore result;
  result.bytes = driver::stored_bytes(plan);
  result.decode_tokens_per_s = decode_speed(decoder, tokens, shape.window);
  const auto start = clock::now();
  const driver::Predictions predictions = driver::predict(decoder, tokens, shape.window, shape.stride);
  result.prefill_tokens_per_s = static_cast<double>(predictions.read) / seconds_since(start);
  result.perplexity = std::exp(predictions.loss / static_cast<double>(predictions.predicted));
  return result;
}

void set_windows(DecoderEvaluation& result, const DecoderEvaluationOptions& options, std::int64_t longest) {
  constexpr std::int64_t usual = 1024;
  result.window = options.window != 0 ? options.window : std::min(longest, usual);
  if (result.window < 2 || result.window > longest)
    throw UsageError(
        fmt::format("a window of {} tokens makes no sense; use 2 to {}, the longest sequence of the model",
                    result.window, longest));
  result.stride = options.stride != 0 ? options.stride : result.window / 2;
  if (result.stride < 1 || result.stride >= result.window)
    throw UsageError(fmt::format("a stride of {} tokens makes no sense; use 1 to {}, less than the window",
                                 result.stride, result.window - 1));
}

}  // namespace

DecoderEvaluation evaluate_decoder(const Plan& plan, const Model& reference, std::string_view text,
                                   const DecoderEvaluationOptions& options) {
  const int threads = driver::resolve_threads(options.threads);
  const auto executor = make_openmp_executor(threads);
  const auto step = [&](std::size_t number, std::string_view what) {
    if (options.on_step) options.on_step(number, 3, what);
  };
  Decoder decoder(plan, *executor);
  const Tokens tokens = Tokenizer(plan).encode(text);
  if (tokens.size() < 2)
    throw UsageError(
        fmt::format("the text has {} tokens; there is nothing to predict in less than 2", tokens.size()));
  DecoderEvaluation result;
  set_windows(result, options, decoder.info().most_tokens);
  result.tokens = static_cast<std::int64_t>(tokens.size()) - 1;

  step(0, "reads the reference");
  const Plan dense_plan = driver::dense_reference(reference, threads);
  {
    Decoder dense(dense_plan, *executor);
    if (dense.info().vocabulary != decoder.info().vocabulary || Tokenizer(dense_plan).encode(text) != tokens)
      throw UsageError(
          fmt::format("{}: cuts the text into other tokens than the plan; they cannot be compared",
                      reference.path().string()));
    if (dense.info().most_tokens < result.window)
      throw UsageError(fmt::format("{}: its longest sequence has {} tokens, less than the window of {}",
                                   reference.path().string(), dense.info().most_tokens, result.window));
    step(1, "predicts with the reference");
    result.reference = score(dense, dense_plan, tokens, result);
  }
  step(2, "predicts with the plan");
  result.plan = score(decoder, plan, tokens, result);
  return result;
}

}  // namespace cross
