// Lanes along tokens, tokens shared out: every worker packs, multiplies and stores for its own tiles.
#include <algorithm>
#include <chrono>
#include <cstring>
#include <optional>

#include "plan/formats/layout.h"
#include "runtime/layer.h"

namespace cross::runtime {
namespace {

/// Accumulators of all rows up to this size are kept until the last panel is done, and then stored in the
/// order of y, which is fast also where rows were reordered. Above, they would no longer lie in the second
/// cache level beside x.
constexpr std::size_t most_acc_bytes = std::size_t{512} << 10;

/// Bytes of one worker's memory: x and accumulators of every link, one after the other.
struct Memory {
  std::size_t x = 0, acc = 0;
};

std::int64_t elements_of(const ChainLink& link) {
  return padded_elements(link.context.layer.cols, link.packing.arithmetic);
}

std::size_t bytes_of(std::int64_t rows, int width) {
  return static_cast<std::size_t>(rows) * static_cast<std::size_t>(width) * 4;
}

/// Accumulators of all panels, or of the highest: the same for tiles of every width.
bool keeps_all(const ChainLink& link, bool last) {
  return last && bytes_of(link.packing.panel_begin.back(), kernels::max_tile_tokens) <= most_acc_bytes;
}

Memory memory_of(const ChainLink& link, bool last, int width) {
  const std::int64_t height =
      keeps_all(link, last) ? link.packing.panel_begin.back() : link.packing.most_rows;
  return {bytes_of(elements_of(link), width), formats::round_up(bytes_of(height, width), 64)};
}

Tiling tiling_of(const ChainLink& link, std::int64_t tokens) {
  // Items as wide as the widest tile: one tile each.
  return tile_tokens(static_cast<int>(tokens), kernels::max_tile_tokens, link.packing.lanes,
                     elements_of(link));
}

std::size_t worker_bytes(std::span<const ChainLink> chain, int width) {
  std::size_t bytes = 0;
  for (const ChainLink& link : chain) {
    const Memory memory = memory_of(link, &link == &chain.back(), width);
    bytes += memory.x + memory.acc;
  }
  return bytes;
}

/// One worker on its tiles.
class Worker {
 public:
  Worker(std::span<const ChainLink> chain, const RunArgs& args, std::byte* memory)
      : chain_(chain), args_(args), memory_(memory) {}

  /// False, with nothing stored, if an input of a product holds Inf or NaN.
  bool run(TokenTile tile) {
    tile.x_offset = tile.acc_offset = 0;
    std::byte* x = memory_;
    const ChainLink& first = chain_.front();
    if (!pack_tile(first.context, first.packing, tile, static_cast<const std::byte*>(args_.x), 0,
                   elements_of(first), x))
      return false;
    for (const ChainLink& link : chain_) {
      const bool last = &link == &chain_.back();
      const Memory memory = memory_of(link, last, tile.vectors * link.packing.lanes);
      auto* acc = reinterpret_cast<float*>(x + memory.x);
      std::byte* next_x = x + memory.x + memory.acc;
      if (last)
        multiply_and_store(link, tile, x, acc);
      else if (!multiply_and_pack(link, tile, x, acc, next_x))
        return false;
      x = next_x;
    }
    return true;
  }

 private:
  static const float* bias_of(const ChainLink& link, std::span<const float> bias, std::int64_t first) {
    return link.bias && !bias.empty() ? bias.data() + first : nullptr;
  }
  static const std::int32_t* row_map_of(const ChainLink& link, std::int64_t first) {
    const auto& order = link.context.layer.row_order;
    return order.empty() ? nullptr : order.data() + first;
  }

  void multiply(const ChainLink& link, const Panel& panel, const TokenTile& tile, const std::byte* x,
                float* acc) const {
    const std::size_t rows =
        formats::round_up(static_cast<std::size_t>(panel.rows), kernels::interleaved_rows);
    std::memset(acc, 0, bytes_of(static_cast<std::int64_t>(rows), tile.vectors * link.packing.lanes));
    multiply_panel(link.packing, panel, &tile, 1, x, acc);
  }

  bool multiply_and_pack(const ChainLink& link, const TokenTile& tile, const std::byte* x, float* acc,
                         std::byte* next_x) const {
    const ChainLink& next = *(&link + 1);
    const int width = tile.vectors * link.packing.lanes;
    // Panels write whole slots, or, of pairs, halves: what stands behind the last row is zero.
    const std::int64_t used = next.context.layer.cols / kernels::columns_per_element(next.packing.arithmetic);
    std::memset(next_x + bytes_of(used, width), 0, bytes_of(elements_of(next) - used, width));
    bool finite = true;
    for (const Panel& panel : link.packing.packing.panels) {
      multiply(link, panel, tile, x, acc);
      finite &= link.context.activations.pack_rows(
          {.acc = acc,
           .rows = panel.rows,
           .width = width,
           .first_row = panel.row_begin,
           .row_map = row_map_of(link, panel.row_begin),
           .activation = link.activation,
           .bias = bias_of(link, link.context.packed_bias, panel.row_begin),
           .arithmetic = next.packing.arithmetic,
           .out = next_x});
    }
    return finite;
  }

  void multiply_and_store(const ChainLink& link, const TokenTile& tile, const std::byte* x,
                          float* acc) const {
    const LayerPlan& layer = link.context.layer;
    const int width = tile.vectors * link.packing.lanes;
    const auto offset = static_cast<std::size_t>(tile.token * layer.rows) * size_of(link.context.dtype);
    kernels::EpilogueArgs epilogue{.acc = acc,
                                   .row_stride = width,
                                   .token_stride = 1,
                                   .rows = static_cast<int>(layer.rows),
                                   .tokens = tile.tokens,
                                   .activation = link.activation,
                                   .bias = bias_of(link, layer.bias, 0),
                                   .residual = args_.residual != nullptr
                                                   ? static_cast<const std::byte*>(args_.residual) + offset
                                                   : nullptr,
                                   .y = static_cast<std::byte*>(args_.y) + offset,
                                   .y_stride = layer.rows,
                                   .y_dtype = link.context.dtype,
                                   .first_row = 0};
    const bool all = keeps_all(link, true);
    const auto& panels = link.packing.packing.panels;
    for (std::size_t p = 0; p < panels.size(); ++p) {
      multiply(link, panels[p], tile, x,
               all ? acc + static_cast<std::int64_t>(link.packing.panel_begin[p]) * width : acc);
      if (all) continue;
      epilogue.rows = panels[p].rows;
      epilogue.bias = bias_of(link, link.context.packed_bias, panels[p].row_begin);
      epilogue.first_row = panels[p].row_begin;
      epilogue.row_map = row_map_of(link, panels[p].row_begin);
      link.context.activations.epilogue(epilogue);
    }
    if (!all) return;
    epilogue.acc_rows = link.packing.acc_rows.empty() ? nullptr : link.packing.acc_rows.data();
    link.context.activations.epilogue(epilogue);
  }

  std::span<const ChainLink> chain_;
  const RunArgs& args_;
  std::byte* memory_;
};

/// The same for tokens with Inf or NaN: product after product, the results between them in memory of their
/// own.
void run_chain_exactly(std::span<const ChainLink> chain, const RunArgs& args, const TokenTile& tile) {
  RunArgs part = part_of(args, chain.back().context, tile.token, tile.tokens);
  part.x = static_cast<const std::byte*>(args.x) +
           static_cast<std::size_t>(tile.token * chain.front().context.layer.cols) *
               size_of(chain.front().context.dtype);
  std::vector<std::byte> between;
  for (const ChainLink& link : chain) {
    const bool last = &link == &chain.back();
    RunArgs one = part;
    one.activation = link.activation;
    one.bias = link.bias;
    std::vector<std::byte> results;
    if (!last) {
      results.resize(static_cast<std::size_t>(tile.tokens * link.context.layer.rows) *
                     size_of(link.context.dtype));
      one.y = results.data();
      one.residual = nullptr;
    }
    run_exact(link.context, link.packing.packing, one);
    between = std::move(results);
    part.x = between.data();
  }
}

}  // namespace

bool deals_tokens(const Variant& variant, std::int64_t tokens, int workers) {
  if (variant.policy != "by_token") return false;
  const std::int64_t tiles = (tokens + kernels::max_tile_tokens - 1) / kernels::max_tile_tokens;
  const std::int64_t most = (tiles + workers - 1) / workers;
  // A quarter of the workers' time is what sharing out panels loses in packing and storing.
  return 4 * tiles >= 3 * most * workers;
}

std::size_t by_token_workspace(std::span<const ChainLink> chain, std::int64_t tokens) {
  const Tiling tiling = tiling_of(chain.front(), tokens);
  return worker_bytes(chain, tiling.widest_item) *
         static_cast<std::size_t>(chain[0].context.executor.workers());
}

void run_by_token(std::span<const ChainLink> chain, const RunArgs& args) {
  const LayerContext& context = chain.front().context;
  const Tiling tiling = tiling_of(chain.front(), args.tokens);
  const auto tiles = static_cast<std::int64_t>(tiling.tiles.size());
  const int workers = context.executor.workers();
  const std::size_t bytes = worker_bytes(chain, tiling.widest_item);
  std::vector<char> exact(tiling.tiles.size());
  context.executor.run([&](int w) {
    const auto start = std::chrono::steady_clock::now();
    Worker worker(chain, args, args.workspace.data() + bytes * static_cast<std::size_t>(w));
    for (auto t = static_cast<std::size_t>(tiles * w / workers);
         t < static_cast<std::size_t>(tiles * (w + 1) / workers); ++t)
      exact[t] = !worker.run(tiling.tiles[t]);
    if (context.worker_seconds != nullptr)
      (*context.worker_seconds)[static_cast<std::size_t>(w)] +=
          std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  });
  for (std::size_t t = 0; t < exact.size(); ++t)
    if (exact[t] != 0) run_chain_exactly(chain, args, tiling.tiles[t]);
}

}  // namespace cross::runtime
