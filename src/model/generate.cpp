#include "cross/generate.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "cross/error.h"

namespace cross {
namespace {

using clock = std::chrono::steady_clock;

double seconds_since(clock::time_point start) {
  return std::chrono::duration<double>(clock::now() - start).count();
}

std::vector<std::int32_t> prompt_tokens(const Tokenizer& tokenizer, const DecoderInfo& info,
                                        std::string_view prompt) {
  std::vector<std::int32_t> ids = tokenizer.encode(prompt);
  if (ids.empty() && info.begin_token >= 0) ids.push_back(info.begin_token);
  if (ids.empty())
    throw UsageError(
        "the prompt is empty, and the model has no token that a text starts with; give some text");
  if (static_cast<std::int64_t>(ids.size()) >= info.most_tokens)
    throw UsageError(
        fmt::format("the prompt has {} tokens; the model's longest sequence is {}, and at least one must be "
                    "new",
                    ids.size(), info.most_tokens));
  return ids;
}

}  // namespace

Generation generate(Decoder& decoder, const Tokenizer& tokenizer, std::string_view prompt,
                    const GenerateOptions& options) {
  const DecoderInfo& info = decoder.info();
  if (options.max_tokens < 1)
    throw UsageError(fmt::format("{} new tokens make no sense; use 1 or more", options.max_tokens));
  if (tokenizer.size() > info.vocabulary)
    throw InputError(
        fmt::format("the plan's tokeniser has {} tokens, its model {}", tokenizer.size(), info.vocabulary));
  Sampler sampler(options.sampling);
  Generation result;
  result.prompt = prompt_tokens(tokenizer, info, prompt);
  const auto room = info.most_tokens - static_cast<std::int64_t>(result.prompt.size());
  const std::int64_t most = std::min(options.max_tokens, room);
  DecoderCache cache = decoder.make_cache(static_cast<std::int64_t>(result.prompt.size()) + most);
  std::vector<float> logits(static_cast<std::size_t>(info.vocabulary));

  // The stream has seen the prompt, so that what follows starts where the prompt ends: inside of a character,
  // or with a space.
  Tokenizer::Stream stream(tokenizer);
  for (const std::int32_t id : result.prompt) stream.add(id);
  const auto give = [&](const std::string& text) {
    result.text += text;
    return text.empty() || !options.on_text || options.on_text(text);
  };

  auto start = clock::now();
  decoder.run(result.prompt, cache, logits);
  result.prefill_seconds = seconds_since(start);
  start = clock::now();
  bool wanted = true;
  for (;;) {
    const std::int32_t id = sampler.next(logits);
    if (std::find(info.end_tokens.begin(), info.end_tokens.end(), id) != info.end_tokens.end()) {
      result.end = GenerationEnd::end_token;
      break;
    }
    result.tokens.push_back(id);
    wanted = give(stream.add(id));
    if (!wanted) {
      result.end = GenerationEnd::caller;
      break;
    }
    if (static_cast<std::int64_t>(result.tokens.size()) == most) {
      result.end = most == options.max_tokens ? GenerationEnd::max_tokens : GenerationEnd::longest_sequence;
      break;
    }
    decoder.run(std::span(&id, 1), cache, logits);
    ++result.decode_steps;
  }
  result.decode_seconds = seconds_since(start);
  if (wanted) give(stream.finish());
  return result;
}

}  // namespace cross
