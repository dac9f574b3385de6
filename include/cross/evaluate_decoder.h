// eval of decoders: how well a plan and the dense model predict a text.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string_view>

#include "cross/model.h"
#include "cross/plan.h"

namespace cross {

struct DecoderEvaluationOptions {
  int threads = 0;  ///< 0: one per core
  std::int64_t window =
      0;  ///< tokens that a prediction may see, and itself; 0: the model's longest, at most 1024
  std::int64_t stride = 0;  ///< from one window to the next; 0: half a window
  std::function<void(std::size_t, std::size_t, std::string_view)> on_step;  ///< before each step
};

/// One of the two sides.
struct DecoderScore {
  double perplexity = 0;  ///< exp of the mean of −log p(token | tokens before it in its window)
  std::uint64_t bytes = 0;
  double prefill_tokens_per_s = 0;  ///< of all tokens read for the perplexity, their logits included
  double decode_tokens_per_s = 0;   ///< one token at a time, the best of a few passes behind the first window
};

/// A plan against a dense reference model in fp32, on one text.
struct DecoderEvaluation {
  std::int64_t tokens = 0;  ///< predicted: all of the text's but the first
  std::int64_t window = 0, stride = 0;
  DecoderScore reference, plan;
};

/// Windows of `window` tokens start every `stride` tokens; each predicts what those before it have not. So a
/// token sees window − stride tokens at least, but for the first ones of the text.
///
/// UsageError for a plan that holds no decoder or no tokeniser, a window or stride that makes no sense, a
/// text of less than two tokens, or a reference with other tokens; InputError if the reference is no decoder
/// that runs as a whole.
DecoderEvaluation evaluate_decoder(const Plan& plan, const Model& reference, std::string_view text,
                                   const DecoderEvaluationOptions& options = {});

}  // namespace cross
