// Whole decoders on the CPU: token ids in, scores of the next token out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "cross/executor.h"
#include "cross/part_time.h"
#include "cross/plan.h"

namespace cross {

struct DecoderInfo {
  std::string architecture;
  std::int64_t layers = 0, hidden = 0, intermediate = 0;
  std::int64_t heads = 0, key_value_heads = 0;  ///< several query heads may share a key and value head
  std::int64_t head_size = 0;
  std::int64_t vocabulary = 0;
  std::int64_t most_tokens = 0;     ///< of a sequence in training; longer ones run, how well is the model's
  std::int64_t sliding_window = 0;  ///< tokens that a token attends to, in the layers that limit it; 0: all
  bool tied_embeddings = false;     ///< the output layer is the embedding table: stored once
  std::int32_t begin_token = -1;    ///< what a text starts with; -1: the model's files name none
  std::vector<std::int32_t> end_tokens;  ///< any of them ends a text
};

/// Keys and values of one sequence: what a decoder remembers of the tokens it has seen. Made by a Decoder,
/// used with it or with another one of the same plan. Movable. Memory is taken as the sequence grows.
class DecoderCache {
 public:
  DecoderCache(DecoderCache&&) noexcept;
  DecoderCache& operator=(DecoderCache&&) noexcept;
  ~DecoderCache();

  /// Tokens seen.
  std::int64_t tokens() const;
  std::int64_t capacity() const;
  /// Forgets all but the first `tokens`; UsageError if there are fewer.
  void truncate(std::int64_t tokens);
  /// Memory of `capacity` tokens.
  std::size_t bytes() const;

  struct Impl;  ///< internal
  explicit DecoderCache(std::unique_ptr<Impl> impl);
  Impl& impl() { return *impl_; }

 private:
  std::unique_ptr<Impl> impl_;
};

/// One sequence of a batch: tokens that follow those in its cache.
struct DecoderInput {
  std::span<const std::int32_t> tokens;
  DecoderCache* cache = nullptr;
};

/// Of which tokens a call gives logits: of none (the tokens are only remembered), of each sequence's last, or
/// of all.
enum class Logits : std::uint8_t { none, last, all };

/// A model plan made ready to continue text.
///
/// Numerics: hidden states, keys and values are in the plan's dtype, and logits are rounded to it; all
/// arithmetic is fp32 (docs/models.md). Tokens one by one give what the same tokens at once give, up to the
/// rounding of sums.
/// Threads: one call at a time per Decoder, and one Decoder at a time per cache; several may share a Plan.
/// Memory: weights and tables stay where the plan has them; activations grow with the tokens of a call.
class Decoder {
 public:
  /// `plan` and `executor` must outlive the decoder. UsageError for a plan of layers alone, of an encoder or
  /// for a GPU, InputError for a model part that does not fit its layers, DeviceError if this CPU cannot run
  /// the plan.
  Decoder(const Plan& plan, Executor& executor);
  ~Decoder();
  Decoder(Decoder&&) noexcept;

  const DecoderInfo& info() const;

  /// An empty cache for `capacity` tokens. UsageError unless 1 <= capacity <= 16 million.
  DecoderCache make_cache(std::int64_t capacity) const;

  /// Reads tokens: any number per sequence (prefill, decode, or both in one batch), appended to the caches.
  ///
  /// `logits` are fp32 rows of `vocabulary` values, one after the other in the order of the batch: none, one
  /// per sequence, or one per token. UsageError for ids outside the vocabulary, a sequence without tokens, a
  /// full cache, one cache twice, a cache of another model, or logits of the wrong size; the caches are then
  /// as before.
  void run(std::span<const DecoderInput> batch, Logits which, std::span<float> logits);

  /// The same for one sequence: logits [vocabulary] of the token that follows.
  void run(std::span<const std::int32_t> tokens, DecoderCache& cache, std::span<float> logits);

  /// Called with the hidden states [tokens, hidden] of every call: layer 0 is what the embeddings give, the
  /// last (layers + 1) the final norm of the tokens whose logits are wanted.
  using Observer = std::function<void(std::int64_t layer, std::span<const float> hidden)>;
  void observe(Observer observer);

  /// Tokens that one weight product takes at most: more stay in the caches no longer. 0: all of a call.
  void set_product_tokens(std::int64_t tokens);

  /// What each part has taken in all calls so far.
  std::span<const PartTime> parts() const;
  void forget_times();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// What a model plan can do: embed text (cross/encoder.h) or continue it.
enum class ModelKind : std::uint8_t { encoder, decoder };

/// UsageError for a plan of layers alone, InputError for an architecture that this build does not know.
ModelKind model_kind(const Plan& plan);

}  // namespace cross
