#include "model/products.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/quote.h"
#include "cross/error.h"

namespace cross::model {
namespace {

/// Token counts of the dense libraries, as many as a session keeps handles for. What is left of a batch is
/// rounded up to one of them, so at worst half of its last part is computed for nothing.
constexpr std::int64_t library_tokens[] = {16, 64, 256};

const std::byte* at_row(const void* buffer, std::int64_t row, std::int64_t width, DType dtype) {
  return static_cast<const std::byte*>(buffer) + static_cast<std::size_t>(row * width) * size_of(dtype);
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

std::int64_t Products::padded(std::int64_t tokens) const { return tokens + library_tokens[2]; }

std::int64_t Products::next_slice(const LayerPlan& layer, std::int64_t left) const {
  if (most_tokens_ > 0 && left >= most_tokens_) return most_tokens_;
  // Without a limit a batch is one product of its own size: for measurements of batches that are all alike.
  if (most_tokens_ == 0 || layer.variant_for(left).shape != "library") return left;
  for (const std::int64_t tokens : library_tokens)
    if (left <= tokens && (tokens == library_tokens[0] || left > tokens / 2)) return tokens;
  return *std::find_if(std::rbegin(library_tokens), std::rend(library_tokens),
                       [&](std::int64_t tokens) { return tokens <= left; });
}

void Products::run(std::size_t index, RunArgs args) {
  const LayerPlan& layer = plan_.layers[index];
  for (std::int64_t done = 0; done < args.tokens;) {
    RunArgs slice = args;
    slice.tokens = next_slice(layer, args.tokens - done);
    slice.x = at_row(args.x, done, layer.cols, plan_.dtype);
    slice.y = const_cast<std::byte*>(at_row(args.y, done, layer.rows, plan_.dtype));
    if (args.residual != nullptr) slice.residual = at_row(args.residual, done, layer.rows, plan_.dtype);
    slice.workspace = workspace_.get(session_.workspace_bytes(index, slice.tokens));
    session_.run(index, slice);
    done += slice.tokens;
  }
}

}  // namespace cross::model
