#include "model/products.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/quote.h"
#include "cross/error.h"

namespace cross::model {
namespace {

/// Token counts of the dense libraries. What is left of a batch is rounded up to one of them, so at worst
/// half of its last part is computed for nothing; one token is what a decoder continues with, and never
/// rounded.
constexpr std::int64_t library_tokens[] = {16, 64, 256};

std::int64_t library_slice(std::int64_t left) {
  if (left == 1) return 1;
  for (const std::int64_t tokens : library_tokens)
    if (left <= tokens && (tokens == library_tokens[0] || left > tokens / 2)) return tokens;
  return *std::find_if(std::rbegin(library_tokens), std::rend(library_tokens),
                       [&](std::int64_t tokens) { return tokens <= left; });
}

}  // namespace

std::size_t Products::layer(const std::string& name, std::int64_t rows, std::int64_t cols) const {
  const LayerPlan* layer = plan_.find(name);
  if (layer == nullptr)
    throw InputError(fmt::format("the plan has no layer {}, which its model needs", base::in_quotes(name)));
  if (layer->rows != rows || layer->cols != cols)
    throw InputError(fmt::format("layer {} is {}x{} in the plan; its model needs {}x{}",
                                 base::in_quotes(name), layer->rows, layer->cols, rows, cols));
  return static_cast<std::size_t>(layer - plan_.layers.data());
}

bool Products::library_runs(std::int64_t tokens) const {
  return std::any_of(plan_.layers.begin(), plan_.layers.end(),
                     [&](const LayerPlan& layer) { return layer.variant_for(tokens).shape == "library"; });
}

std::vector<Slice> Products::slices(std::int64_t tokens) const {
  std::vector<Slice> result;
  for (std::int64_t first = 0; first < tokens; first += result.back().tokens) {
    const std::int64_t left = tokens - first;
    std::int64_t rows = left;
    // Without a limit a batch is one product of its own size: for measurements of batches that are all alike.
    if (most_tokens_ > 0)
      rows = left >= most_tokens_ ? most_tokens_ : library_runs(left) ? library_slice(left) : left;
    result.push_back({first, std::min(rows, left), rows});
  }
  return result;
}

std::int64_t Products::padded(std::int64_t tokens) { return tokens + library_tokens[2]; }

void Products::run(std::size_t index, RunArgs args) {
  args.workspace = workspace_.get(session_.workspace_bytes(index, args.tokens));
  session_.run(index, args);
}

void Products::run_chain(std::size_t first, std::size_t second, Activation between, RunArgs args) {
  args.workspace = workspace_.get(session_.chain_workspace_bytes(first, second, args.tokens));
  session_.run_chain(first, second, between, args);
}

}  // namespace cross::model
