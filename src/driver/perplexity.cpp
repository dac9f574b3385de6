#include "driver/perplexity.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace cross::driver {
namespace {

/// Logits at once: those of a large vocabulary are the largest activations by far.
constexpr std::int64_t most_logits = 16 << 20;

}  // namespace

double loss_of(std::span<const float> logits, std::int32_t token) {
  const double highest = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (const float logit : logits) sum += std::exp(logit - highest);
  return std::log(sum) + highest - logits[static_cast<std::size_t>(token)];
}

Predictions predict(Decoder& decoder, std::span<const std::int32_t> tokens, std::int64_t window,
                    std::int64_t stride) {
  const std::int64_t count = static_cast<std::int64_t>(tokens.size());
  const std::int64_t vocabulary = decoder.info().vocabulary;
  const std::int64_t chunk = std::clamp<std::int64_t>(most_logits / vocabulary, 1, window);
  std::vector<float> logits(static_cast<std::size_t>(chunk * vocabulary));
  DecoderCache cache = decoder.make_cache(window);
  Predictions result;
  std::int64_t known = 1;  // tokens whose loss has been taken, and the first, which nothing predicts
  for (std::int64_t begin = 0; known < count; begin += stride) {
    const std::int64_t end = std::min(begin + window, count);
    cache.truncate(0);
    const auto read = [&](std::int64_t first, std::int64_t last, Logits which, std::span<float> room) {
      const DecoderInput input{
          tokens.subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(last - first)), &cache};
      decoder.run(std::span(&input, 1), which, room);
      result.read += last - first;
    };
    // The logits of token t predict token t + 1; those in front only lend their keys and values. The window's
    // last token predicts nothing in it.
    std::int64_t at = begin;
    if (known - 1 > at) read(at, known - 1, Logits::none, {});
    at = std::max(at, known - 1);
    for (; at < end - 1;) {
      const std::int64_t last = std::min(at + chunk, end - 1);
      const auto values = static_cast<std::size_t>((last - at) * vocabulary);
      read(at, last, Logits::all, std::span(logits).first(values));
      for (std::int64_t t = at; t < last; ++t)
        result.loss += loss_of(std::span(logits).subspan(static_cast<std::size_t>((t - at) * vocabulary),
                                                         static_cast<std::size_t>(vocabulary)),
                               tokens[static_cast<std::size_t>(t + 1)]);
      at = last;
    }
    result.predicted += end - known;
    known = end;
  }
  return result;
}

}  // namespace cross::driver
