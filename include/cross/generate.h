// Text in, more text out.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "cross/decoder.h"
#include "cross/sampling.h"
#include "cross/tokenizer.h"

namespace cross {

struct GenerateOptions {
  std::int64_t max_tokens = 128;  ///< new ones; fewer if the model's longest sequence is reached
  SamplingOptions sampling;
  /// Called with text as it comes, whole characters only; false ends the generation.
  std::function<bool(std::string_view)> on_text;
};

/// Why a generation ended: a token that ends texts, the count asked for, the longest sequence of the model,
/// or the caller.
enum class GenerationEnd : std::uint8_t { end_token, max_tokens, longest_sequence, caller };

constexpr std::string_view name_of(GenerationEnd end) {
  switch (end) {
    case GenerationEnd::end_token:
      return "end token";
    case GenerationEnd::max_tokens:
      return "max tokens";
    case GenerationEnd::longest_sequence:
      return "longest sequence";
    case GenerationEnd::caller:
      return "caller";
  }
  return "?";
}

struct Generation {
  std::vector<std::int32_t> prompt;  ///< its tokens
  std::vector<std::int32_t> tokens;  ///< that follow; the one that ended the text is not among them
  std::string text;                  ///< theirs
  GenerationEnd end = GenerationEnd::max_tokens;
  double prefill_seconds = 0;     ///< from the prompt's tokens to the logits of the first new one
  double decode_seconds = 0;      ///< of the steps that follow, sampling and decoding of text included
  std::int64_t decode_steps = 0;  ///< calls of the decoder in that time
};

/// Continues `prompt`. UsageError if it has no tokens, as many as the model's longest sequence or more, or if
/// max_tokens is below 1; InputError if the tokeniser has ids that the model lacks.
Generation generate(Decoder& decoder, const Tokenizer& tokenizer, std::string_view prompt,
                    const GenerateOptions& options = {});

}  // namespace cross
