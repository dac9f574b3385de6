// Model plans (plan_input.h): an encoder or a decoder is made of what is accepted, and runs a few tokens.
#include <algorithm>
#include <array>
#include <cmath>
#include <stdexcept>
#include <vector>

#include "cross/decoder.h"
#include "cross/encoder.h"
#include "cross/error.h"
#include "cross/tokenizer.h"
#include "fuzz_target.h"
#include "plan_input.h"

namespace {

using namespace cross;

/// A plan may ask for more than its bytes: rows of zeros cost none.
bool is_small(const Plan& plan) {
  return std::all_of(plan.layers.begin(), plan.layers.end(),
                     [](const LayerPlan& layer) { return layer.rows <= 4096 && layer.cols <= 4096; });
}

void run_encoder(const Plan& plan, Executor& executor) {
  Encoder encoder(plan, executor);
  const EncoderInfo& info = encoder.info();
  for (const std::int32_t id : encoder.tokenize("the cat's caf\xC3\xA9"))
    if (id < 0 || id >= info.vocabulary) throw std::logic_error("an id outside the vocabulary");
  TokenBatch batch;
  const std::array<std::int32_t, 2> ids = {0, static_cast<std::int32_t>(info.vocabulary - 1)};
  batch.add(std::span(ids).first(static_cast<std::size_t>(std::min<std::int64_t>(2, info.most_tokens))));
  batch.add(std::span(ids).first(1));
  std::vector<float> embeddings(batch.sentences() * static_cast<std::size_t>(info.hidden));
  encoder.embed(batch, embeddings);
}

void run_decoder(const Plan& plan, Executor& executor) {
  Decoder decoder(plan, executor);
  const DecoderInfo& info = decoder.info();
  const std::array<std::int32_t, 3> ids = {0, static_cast<std::int32_t>(info.vocabulary - 1), 0};
  DecoderCache cache = decoder.make_cache(4);
  std::vector<float> logits(static_cast<std::size_t>(info.vocabulary));
  decoder.run(ids, cache, logits);
  decoder.run(std::span(ids).first(1), cache, logits);
  const Tokenizer tokenizer(plan);
  if (tokenizer.size() > info.vocabulary) throw std::logic_error("more tokens than the model has");
  tokenizer.decode(tokenizer.encode("the cat's caf\xC3\xA9"));
}

}  // namespace

void parse(std::span<const std::byte> file) {
  const std::string made = fuzz::plan_file(file);
  const Plan plan = Plan::parse(std::as_bytes(std::span(made)), "f.cross");
  if (!is_small(plan)) return;
  const auto executor = make_thread_executor(1);
  model_kind(plan) == ModelKind::encoder ? run_encoder(plan, *executor) : run_decoder(plan, *executor);
}
