#include "cross/encoder.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "cross/error.h"
#include "model/architectures.h"

namespace cross {

struct Encoder::Impl {
  Executor& executor;
  std::unique_ptr<model::EncoderNetwork> network;

  std::vector<std::vector<std::int32_t>> tokenize(std::span<const std::string> texts) const {
    std::vector<std::vector<std::int32_t>> tokens(texts.size());
    const auto workers = static_cast<std::size_t>(executor.workers());
    std::vector<std::exception_ptr> errors(workers);
    executor.run([&](int worker) {
      const auto w = static_cast<std::size_t>(worker);
      try {
        for (std::size_t i = w; i < texts.size(); i += workers) tokens[i] = network->tokenize(texts[i]);
      } catch (...) {
        errors[w] = std::current_exception();
      }
    });
    for (const std::exception_ptr& error : errors)
      if (error) std::rethrow_exception(error);
    return tokens;
  }

  void check(const TokenBatch& batch, std::size_t outputs) const {
    const EncoderInfo& info = network->info();
    if (batch.offsets.empty() || batch.offsets.front() != 0 ||
        batch.offsets.back() != static_cast<std::int64_t>(batch.ids.size()))
      throw UsageError("the offsets of a batch must start with 0 and end with the number of its tokens");
    if (outputs != batch.sentences() * static_cast<std::size_t>(info.hidden))
      throw UsageError(fmt::format("there is room for {} values; the embeddings of {} sentences are {} x {}",
                                   outputs, batch.sentences(), batch.sentences(), info.hidden));
    for (std::size_t i = 0; i < batch.sentences(); ++i)
      if (batch.tokens(i) < 1 || batch.tokens(i) > info.most_tokens)
        throw UsageError(fmt::format("sentence {} has {} tokens; the model takes 1 to {}", i, batch.tokens(i),
                                     info.most_tokens));
    for (const std::int32_t id : batch.ids)
      if (id < 0 || id >= info.vocabulary)
        throw UsageError(fmt::format("token id {} is outside the vocabulary of {}", id, info.vocabulary));
  }
};

Encoder::Encoder(const Plan& plan, Executor& executor)
    : impl_(new Impl{executor, model::make_encoder(plan, executor)}) {}
Encoder::~Encoder() = default;
Encoder::Encoder(Encoder&&) noexcept = default;

const EncoderInfo& Encoder::info() const { return impl_->network->info(); }
std::vector<std::int32_t> Encoder::tokenize(std::string_view text) const {
  return impl_->network->tokenize(text);
}

void Encoder::embed(const TokenBatch& batch, std::span<float> embeddings) {
  impl_->check(batch, embeddings.size());
  if (batch.sentences() > 0) impl_->network->embed(batch, embeddings);
}

std::vector<float> Encoder::embed(std::span<const std::string> texts, std::size_t batch) {
  if (batch < 1) throw UsageError("a batch must hold at least one sentence");
  const auto hidden = static_cast<std::size_t>(info().hidden);
  const auto tokens = impl_->tokenize(texts);
  std::vector<std::size_t> order(texts.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return tokens[a].size() > tokens[b].size(); });
  std::vector<float> result(texts.size() * hidden), rows;
  for (std::size_t begin = 0; begin < order.size(); begin += batch) {
    const std::size_t end = std::min(begin + batch, order.size());
    TokenBatch part;
    for (std::size_t i = begin; i < end; ++i) part.add(tokens[order[i]]);
    rows.resize((end - begin) * hidden);
    embed(part, rows);
    for (std::size_t i = begin; i < end; ++i)
      std::copy_n(rows.begin() + static_cast<std::ptrdiff_t>((i - begin) * hidden), hidden,
                  result.begin() + static_cast<std::ptrdiff_t>(order[i] * hidden));
  }
  return result;
}

void Encoder::observe(Observer observer) { impl_->network->observe(std::move(observer)); }
void Encoder::set_product_tokens(std::int64_t tokens) { impl_->network->limit_product_tokens(tokens); }
std::span<const PartTime> Encoder::parts() const { return impl_->network->parts(); }
void Encoder::forget_times() { impl_->network->forget_times(); }

}  // namespace cross
