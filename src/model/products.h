// The weight products of a network: layers of a plan by name, for any number of tokens.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "base/aligned_buffer.h"
#include "cross/session.h"

namespace cross::model {

/// Tokens [first, first + tokens) of a batch, and how many rows to compute for them.
struct Slice {
  std::int64_t first = 0, tokens = 0;
  std::int64_t rows = 0;  ///< at least `tokens`: those behind them mean nothing
};

/// Runs the layers of a plan slice by slice, so that what one product stores is still in the caches when the
/// next one reads it. Asks the dense libraries for few different token counts only: each of their handles
/// serves one count and holds a packed copy of the weights, while batches of text come in every size.
class Products {
 public:
  Products(const Plan& plan, Executor& executor) : plan_(plan), session_(plan, executor) {}

  /// Index of a layer; InputError unless it is [rows, cols].
  std::size_t layer(const std::string& name, std::int64_t rows, std::int64_t cols) const;

  /// A batch cut into slices.
  std::vector<Slice> slices(std::int64_t tokens) const;
  /// Rows that buffers of a batch need: the last slice may compute more than there are tokens.
  static std::int64_t padded(std::int64_t tokens);

  /// y = activation(x·Wᵀ + bias) + residual for `args.tokens` rows.
  void run(std::size_t layer, RunArgs args);

  /// y = second(activation(first(x))) + residual, as Session::run_chain.
  void run_chain(std::size_t first, std::size_t second, Activation between, RunArgs args);

  /// As Encoder::set_product_tokens.
  void set_most_tokens(std::int64_t tokens) { most_tokens_ = tokens; }

 private:
  bool library_runs(std::int64_t tokens) const;

  const Plan& plan_;
  Session session_;
  base::AlignedBuffer workspace_;
  std::int64_t most_tokens_ = 512;
};

}  // namespace cross::model
