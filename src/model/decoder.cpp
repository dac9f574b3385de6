#include "cross/decoder.h"

#include <fmt/format.h>

#include <set>

#include "cross/error.h"
#include "model/architectures.h"

namespace cross {
namespace {

constexpr std::int64_t most_capacity = 1 << 24;

}  // namespace

DecoderCache::DecoderCache(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
DecoderCache::DecoderCache(DecoderCache&&) noexcept = default;
DecoderCache& DecoderCache::operator=(DecoderCache&&) noexcept = default;
DecoderCache::~DecoderCache() = default;

std::int64_t DecoderCache::tokens() const { return impl_->tokens; }
std::int64_t DecoderCache::capacity() const { return impl_->capacity; }
std::size_t DecoderCache::bytes() const { return impl_->bytes(); }
void DecoderCache::truncate(std::int64_t tokens) {
  if (tokens < 0 || tokens > impl_->tokens)
    throw UsageError(fmt::format("a cache of {} tokens cannot be cut to {}", impl_->tokens, tokens));
  impl_->tokens = tokens;
}

struct Decoder::Impl {
  std::unique_ptr<model::DecoderNetwork> network;

  void check(const DecoderInput& input, std::size_t index) const {
    const DecoderInfo& info = network->info();
    if (input.tokens.empty()) throw UsageError(fmt::format("sequence {} has no tokens", index));
    for (const std::int32_t id : input.tokens)
      if (id < 0 || id >= info.vocabulary)
        throw UsageError(fmt::format("token id {} is outside the vocabulary of {}", id, info.vocabulary));
    if (input.cache == nullptr) throw UsageError(fmt::format("sequence {} has no cache", index));
    if (input.cache->impl().shape != network->cache_shape())
      throw UsageError(fmt::format("the cache of sequence {} was made by a decoder of another model", index));
    const auto tokens = static_cast<std::int64_t>(input.tokens.size());
    if (tokens > input.cache->capacity() - input.cache->tokens())
      throw UsageError(
          fmt::format("the cache of sequence {} has room for {} tokens and holds {}; {} more do not fit",
                      index, input.cache->capacity(), input.cache->tokens(), tokens));
  }

  void check(std::span<const DecoderInput> batch, Logits which, std::size_t values) const {
    std::set<const DecoderCache*> caches;
    std::size_t rows = 0;
    for (std::size_t i = 0; i < batch.size(); ++i) {
      check(batch[i], i);
      if (!caches.insert(batch[i].cache).second)
        throw UsageError(fmt::format("sequence {} shares its cache with another of the batch", i));
      rows += which == Logits::all ? batch[i].tokens.size() : which == Logits::last ? 1 : 0;
    }
    const auto vocabulary = static_cast<std::size_t>(network->info().vocabulary);
    if (values != rows * vocabulary)
      throw UsageError(
          fmt::format("there is room for {} logits; this call gives {} x {}", values, rows, vocabulary));
  }
};

Decoder::Decoder(const Plan& plan, Executor& executor)
    : impl_(new Impl{model::make_decoder(plan, executor)}) {}
Decoder::~Decoder() = default;
Decoder::Decoder(Decoder&&) noexcept = default;

const DecoderInfo& Decoder::info() const { return impl_->network->info(); }

DecoderCache Decoder::make_cache(std::int64_t capacity) const {
  if (capacity < 1 || capacity > most_capacity)
    throw UsageError(
        fmt::format("a cache for {} tokens makes no sense; use 1 to {}", capacity, most_capacity));
  return DecoderCache(std::make_unique<DecoderCache::Impl>(impl_->network->cache_shape(), capacity));
}

void Decoder::run(std::span<const DecoderInput> batch, Logits which, std::span<float> logits) {
  impl_->check(batch, which, logits.size());
  if (!batch.empty()) impl_->network->run(batch, which, logits);
}

void Decoder::run(std::span<const std::int32_t> tokens, DecoderCache& cache, std::span<float> logits) {
  const DecoderInput input{tokens, &cache};
  run(std::span(&input, 1), Logits::last, logits);
}

void Decoder::observe(Observer observer) { impl_->network->observe(std::move(observer)); }
void Decoder::set_product_tokens(std::int64_t tokens) { impl_->network->limit_product_tokens(tokens); }
std::span<const PartTime> Decoder::parts() const { return impl_->network->parts(); }
void Decoder::forget_times() { impl_->network->forget_times(); }

}  // namespace cross
