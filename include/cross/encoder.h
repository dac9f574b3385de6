// Whole encoders on the CPU: text in, embeddings out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cross/executor.h"
#include "cross/part_time.h"
#include "cross/plan.h"

namespace cross {

/// How the hidden states of a sentence become one vector: their mean, or that of the first token.
enum class Pooling : std::uint8_t { mean, cls };

constexpr std::string_view name_of(Pooling pooling) { return pooling == Pooling::mean ? "mean" : "cls"; }

struct EncoderInfo {
  std::string architecture;
  std::int64_t layers = 0, hidden = 0, heads = 0;
  std::int64_t most_tokens = 0;  ///< of a sentence; what is longer is cut
  std::int64_t vocabulary = 0;
  Pooling pooling = Pooling::mean;
  bool normalised = false;  ///< embeddings have length 1
};

/// Token ids of several sentences, one after the other: without padding there is nothing to mask.
struct TokenBatch {
  std::vector<std::int32_t> ids;
  std::vector<std::int64_t> offsets = {0};  ///< sentence i is ids[offsets[i]] … ids[offsets[i + 1]]

  void add(std::span<const std::int32_t> sentence) {
    ids.insert(ids.end(), sentence.begin(), sentence.end());
    offsets.push_back(static_cast<std::int64_t>(ids.size()));
  }
  std::size_t sentences() const { return offsets.size() - 1; }
  std::int64_t tokens(std::size_t sentence) const { return offsets[sentence + 1] - offsets[sentence]; }
};

/// A model plan made ready to embed text.
///
/// Numerics: hidden states between layers are in the plan's dtype, all arithmetic is fp32 (docs/models.md).
/// Threads: one call at a time per Encoder; several may share a Plan. Memory: weights and tables stay where
/// the plan has them; activations grow with the largest batch.
class Encoder {
 public:
  /// `plan` and `executor` must outlive the encoder. UsageError for a plan of layers alone or for a GPU,
  /// InputError for a model part that does not fit its layers, DeviceError if this CPU cannot run the plan.
  Encoder(const Plan& plan, Executor& executor);
  ~Encoder();
  Encoder(Encoder&&) noexcept;

  const EncoderInfo& info() const;

  /// Ids of a sentence with the model's first and last token, cut to `most_tokens`.
  std::vector<std::int32_t> tokenize(std::string_view text) const;

  /// Embeddings [sentences, hidden] in fp32. UsageError for ids outside the vocabulary, and for sentences
  /// without tokens or with more than `most_tokens`.
  void embed(const TokenBatch& batch, std::span<float> embeddings);
  /// The same for texts, `batch` sentences of similar length at a time, in the order of the texts.
  std::vector<float> embed(std::span<const std::string> texts, std::size_t batch = 32);

  /// Called with the hidden states [tokens, hidden] of every batch: layer 0 is what the embeddings give.
  using Observer = std::function<void(std::int64_t layer, std::span<const float> hidden)>;
  void observe(Observer observer);

  /// Tokens that one weight product takes at most: more stay in the caches no longer. 0: all of a batch.
  void set_product_tokens(std::int64_t tokens);

  /// What each part has taken in all calls so far.
  std::span<const PartTime> parts() const;
  void forget_times();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace cross
