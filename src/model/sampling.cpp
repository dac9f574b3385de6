#include "cross/sampling.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "cross/error.h"

namespace cross {
namespace {

/// Order of tokens: the likeliest first, equals by their ids.
struct Likelier {
  std::span<const float> logits;

  bool operator()(std::int32_t a, std::int32_t b) const {
    const float of_a = logits[static_cast<std::size_t>(a)], of_b = logits[static_cast<std::size_t>(b)];
    return of_a != of_b ? of_a > of_b : a < b;
  }
};

}  // namespace

Sampler::Sampler(const SamplingOptions& options) : options_(options), random_(options.seed) {
  if (!(options.temperature >= 0) || !std::isfinite(options.temperature))
    throw UsageError(fmt::format("a temperature of {} makes no sense; use 0 (the likeliest token) or more",
                                 options.temperature));
  if (options.top_k < 0)
    throw UsageError(
        fmt::format("a top-k of {} makes no sense; use 1 or more, or 0 for all tokens", options.top_k));
  if (!(options.top_p > 0) || options.top_p > 1)
    throw UsageError(
        fmt::format("a top-p of {} makes no sense; use more than 0 and at most 1", options.top_p));
}

std::int32_t Sampler::next(std::span<const float> logits) {
  std::size_t best = 0;
  bool numbers = true;
  for (std::size_t i = 0; i < logits.size(); ++i) {
    if (logits[i] > logits[best]) best = i;
    numbers = numbers && !std::isnan(logits[i]);
  }
  if (logits.empty() || !numbers || !std::isfinite(logits[best]))
    throw InputError(
        "the model's scores of the next token are not numbers: its weights or activations overflow");
  return options_.temperature == 0 ? static_cast<std::int32_t>(best) : draw(logits, logits[best]);
}

double Sampler::weight(float logit, float highest) const {
  return std::exp((static_cast<double>(logit) - static_cast<double>(highest)) / options_.temperature);
}

std::int32_t Sampler::draw(std::span<const float> logits, float highest) {
  kept_.resize(logits.size());
  std::iota(kept_.begin(), kept_.end(), 0);
  if (options_.top_k > 0 && options_.top_k < static_cast<std::int64_t>(kept_.size())) {
    std::nth_element(kept_.begin(), kept_.begin() + options_.top_k, kept_.end(), Likelier{logits});
    kept_.resize(static_cast<std::size_t>(options_.top_k));
  }
  if (options_.top_p < 1) keep_top_p(logits, highest);

  double sum = 0;
  for (const std::int32_t id : kept_) sum += weight(logits[static_cast<std::size_t>(id)], highest);
  // 53 random bits: the same number everywhere, which std::uniform_real_distribution does not promise.
  double left = static_cast<double>(random_() >> 11) * 0x1p-53 * sum;
  std::int32_t last = kept_.front();
  for (const std::int32_t id : kept_) {
    const double share = weight(logits[static_cast<std::size_t>(id)], highest);
    if (share == 0) continue;
    last = id;  // rounding must not lead past the end
    left -= share;
    if (left < 0) break;
  }
  return last;
}

/// Sorts the likeliest few, and more only if they do not suffice: vocabularies are large, and what is kept is
/// small.
void Sampler::keep_top_p(std::span<const float> logits, float highest) {
  double sum = 0;
  for (const std::int32_t id : kept_) sum += weight(logits[static_cast<std::size_t>(id)], highest);
  for (std::size_t sorted = 256;; sorted *= 8) {
    const std::size_t count = std::min(sorted, kept_.size());
    std::partial_sort(kept_.begin(), kept_.begin() + static_cast<std::ptrdiff_t>(count), kept_.end(),
                      Likelier{logits});
    double reached = 0;
    for (std::size_t i = 0; i < count; ++i) {
      reached += weight(logits[static_cast<std::size_t>(kept_[i])], highest);
      if (reached < options_.top_p * sum && i + 1 < kept_.size()) continue;
      kept_.resize(i + 1);
      return;
    }
  }
}

}  // namespace cross
