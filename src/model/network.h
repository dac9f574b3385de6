// What every architecture of encoders implements.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "cross/encoder.h"

namespace cross::model {

/// The network between token ids and embeddings, and its tokeniser.
class EncoderNetwork {
 public:
  virtual ~EncoderNetwork() = default;
  virtual const EncoderInfo& info() const = 0;
  virtual std::vector<std::int32_t> tokenize(std::string_view text) const = 0;
  /// As Encoder::embed, of a batch that was checked.
  virtual void embed(const TokenBatch& batch, std::span<float> embeddings) = 0;
  virtual void observe(Encoder::Observer observer) = 0;
  virtual void set_product_tokens(std::int64_t tokens) = 0;
  virtual std::vector<EncoderPart>& parts() = 0;
};

}  // namespace cross::model
