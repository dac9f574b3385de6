// The weight products of a network: layers of a plan by name, for any number of tokens.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "base/aligned_buffer.h"
#include "cross/session.h"

namespace cross::model {

/// Runs the layers of a plan, and asks the dense libraries for few different token counts only: each of their
/// handles serves one count and holds a packed copy of the weights, while batches of text come in every size.
class Products {
 public:
  Products(const Plan& plan, Executor& executor) : plan_(plan), session_(plan, executor) {}

  /// Index of a layer; InputError unless it is [rows, cols].
  std::size_t layer(const std::string& name, std::int64_t rows, std::int64_t cols) const;

  /// Rows that x, y and the residual must have room for: some behind `tokens` may be computed too.
  std::int64_t padded(std::int64_t tokens) const;

  /// y = activation(x·Wᵀ + bias) + residual. All buffers have `padded(args.tokens)` rows.
  void run(std::size_t layer, RunArgs args);

  /// As Encoder::set_product_tokens.
  void set_most_tokens(std::int64_t tokens) { most_tokens_ = tokens; }

 private:
  std::int64_t next_slice(const LayerPlan& layer, std::int64_t left) const;

  const Plan& plan_;
  Session session_;
  base::AlignedBuffer workspace_;
  std::int64_t most_tokens_ = 512;
};

}  // namespace cross::model
