// What every architecture of encoders and of decoders implements.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string_view>
#include <vector>

#include "cross/decoder.h"
#include "cross/encoder.h"
#include "model/key_value_cache.h"

namespace cross::model {

/// What networks of both kinds have.
class Network {
 public:
  using Observer = std::function<void(std::int64_t layer, std::span<const float> hidden)>;

  virtual ~Network() = default;
  virtual void observe(Observer observer) = 0;
  virtual void set_product_tokens(std::int64_t tokens) = 0;
  virtual std::vector<PartTime>& parts() = 0;

  /// UsageError for less than no tokens.
  void limit_product_tokens(std::int64_t tokens);
  void forget_times();
};

/// The network between token ids and embeddings, and its tokeniser.
class EncoderNetwork : public Network {
 public:
  virtual const EncoderInfo& info() const = 0;
  virtual std::vector<std::int32_t> tokenize(std::string_view text) const = 0;
  /// As Encoder::embed, of a batch that was checked.
  virtual void embed(const TokenBatch& batch, std::span<float> embeddings) = 0;
};

/// The network between token ids and logits.
class DecoderNetwork : public Network {
 public:
  virtual const DecoderInfo& info() const = 0;
  /// Of the caches that `run` takes.
  virtual CacheShape cache_shape() const = 0;
  /// As Decoder::run, of a batch that was checked; raises the tokens of the caches.
  virtual void run(std::span<const DecoderInput> batch, Logits which, std::span<float> logits) = 0;
};

}  // namespace cross::model
