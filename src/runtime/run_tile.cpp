// Lanes along tokens: pack x, once for all workers or, where it is small, once per worker; then every worker
// runs its panels.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>

#include "plan/formats/layout.h"
#include "runtime/layer.h"

namespace cross::runtime {
namespace {

using kernels::k_block_elements;

/// Elements of K that one worker packs at a time.
constexpr std::int64_t pack_elements = 256;

/// Up to this much packed x every worker packs all of it for itself. Sharing it costs a barrier and brings
/// half of it from another core's cache; where the workers sit on different dies that took 60 µs for 24 KiB
/// (two virtual CPUs of a Zen 4 server), more than the product.
constexpr std::size_t private_x_bytes = std::size_t{128} << 10;

int x_copies(const Tiling& tiling, int workers) { return tiling.x_bytes <= private_x_bytes ? workers : 1; }

std::size_t acc_bytes(const PackingContext& packing, const Tiling& tiling) {
  return formats::round_up(
      static_cast<std::size_t>(packing.most_rows) * static_cast<std::size_t>(tiling.widest_item) * 4, 64);
}

Tiling tiling_for(const LayerContext& context, const PackingContext& packing, const Variant& variant,
                  std::int64_t tokens) {
  return tile_tokens(static_cast<int>(tokens), variant.item_tokens, packing.lanes,
                     padded_elements(context.layer.cols, packing.arithmetic));
}

/// One pass of at most pass_tokens tokens.
class TilePass {
 public:
  TilePass(const LayerContext& context, const PackingContext& packing, const Variant& variant,
           const RunArgs& args, std::int64_t first_token, std::int64_t tokens)
      : context_(context),
        packing_(packing),
        variant_(variant),
        args_(args),
        tiling_(tiling_for(context, packing, variant, tokens)),
        element_bytes_(size_of(context.dtype)),
        first_token_(first_token),
        x_copies_(x_copies(tiling_, context.executor.workers())) {
    x_ = args.workspace.data();
    acc_ = reinterpret_cast<float*>(x_ + tiling_.x_bytes * static_cast<std::size_t>(x_copies_));
  }

  /// False, with nothing stored, if x holds Inf or NaN.
  bool run() {
    const int workers = context_.executor.workers();
    if (x_copies_ == workers) {
      // All workers see all of x, so all of them stop or none.
      context_.executor.run([this, workers](int worker) {
        if (pack(worker, 0, 1)) compute_pieces(worker, workers);
      });
      return finite_;
    }
    context_.executor.run([this, workers](int worker) { pack(worker, worker, workers); });
    if (!finite_) return false;
    context_.executor.run([this, workers](int worker) { compute_pieces(worker, workers); });
    return true;
  }

 private:
  std::byte* x_of(int worker) const {
    return x_ + (x_copies_ == 1 ? 0 : tiling_.x_bytes * static_cast<std::size_t>(worker));
  }

  void compute_pieces(int worker, int workers) {
    const auto start = std::chrono::steady_clock::now();
    for_each_piece(variant_, worker, workers, static_cast<int>(tiling_.items.size()),
                   [&](int item, int panel) { compute(worker, item, panel); });
    if (context_.worker_seconds != nullptr)
      (*context_.worker_seconds)[static_cast<std::size_t>(worker)] +=
          std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  }

  /// Packs part `part` of `parts` of x into the worker's copy; false if it holds Inf or NaN.
  bool pack(int worker, int part, int parts) {
    const std::int64_t elements = padded_elements(context_.layer.cols, packing_.arithmetic);
    const std::int64_t slices = (elements + pack_elements - 1) / pack_elements;
    const auto units = static_cast<std::int64_t>(tiling_.tiles.size()) * slices;
    const auto* x = static_cast<const std::byte*>(args_.x) +
                    first_token_ * context_.layer.cols * static_cast<std::int64_t>(element_bytes_);
    bool finite = true;
    for (std::int64_t unit = units * part / parts; unit < units * (part + 1) / parts; ++unit) {
      const TokenTile& tile = tiling_.tiles[static_cast<std::size_t>(unit / slices)];
      const std::int64_t begin = unit % slices * pack_elements;
      finite &= pack_tile(context_, packing_, tile, x, begin, std::min(begin + pack_elements, elements),
                          x_of(worker));
    }
    if (!finite) finite_ = false;
    return finite;
  }

  void compute(int worker, int item_index, int panel_index) {
    const BatchItem& item = tiling_.items[static_cast<std::size_t>(item_index)];
    const Panel& panel = packing_.packing.panels[static_cast<std::size_t>(panel_index)];
    float* acc = acc_ + static_cast<std::size_t>(worker) * (acc_bytes(packing_, tiling_) / 4);
    const std::size_t padded_rows =
        formats::round_up(static_cast<std::size_t>(panel.rows), kernels::interleaved_rows);
    std::memset(acc, 0, padded_rows * static_cast<std::size_t>(item.width) * 4);
    const TokenTile* tiles = tiling_.tiles.data() + item.first_tile;
    multiply_panel(packing_, panel, tiles, item.tiles, x_of(worker), acc);
    for (int t = 0; t < item.tiles; ++t) store(panel, padded_rows, tiles[t], acc);
  }

  void store(const Panel& panel, std::size_t padded_rows, const TokenTile& tile, const float* acc) {
    const std::int64_t rows = context_.layer.rows;
    const std::int64_t token_bytes = rows * static_cast<std::int64_t>(element_bytes_);
    const std::int64_t offset = (first_token_ + tile.token) * token_bytes;
    const bool natural = context_.layer.row_order.empty();
    const bool bias = args_.bias && !context_.packed_bias.empty();
    context_.activations.epilogue(
        {.acc = acc + padded_rows * tile.acc_offset,
         .row_stride = tile.vectors * packing_.lanes,
         .token_stride = 1,
         .rows = panel.rows,
         .tokens = tile.tokens,
         .activation = args_.activation,
         .bias = bias ? context_.packed_bias.data() + panel.row_begin : nullptr,
         .residual =
             args_.residual != nullptr ? static_cast<const std::byte*>(args_.residual) + offset : nullptr,
         .y = static_cast<std::byte*>(args_.y) + offset,
         .y_stride = rows,
         .y_dtype = context_.dtype,
         .first_row = panel.row_begin,
         .row_map = natural ? nullptr : context_.layer.row_order.data() + panel.row_begin});
  }

  const LayerContext& context_;
  const PackingContext& packing_;
  const Variant& variant_;
  const RunArgs& args_;
  Tiling tiling_;
  std::size_t element_bytes_;
  std::int64_t first_token_;
  int x_copies_;  ///< 1, or one per worker
  std::byte* x_;
  float* acc_;
  std::atomic<bool> finite_ = true;
};

}  // namespace

bool pack_tile(const LayerContext& context, const PackingContext& packing, const TokenTile& tile,
               const std::byte* x, std::int64_t begin, std::int64_t end, std::byte* out) {
  const std::int64_t row_bytes = context.layer.cols * static_cast<std::int64_t>(size_of(context.dtype));
  return context.activations.pack_tile({.x = x + tile.token * row_bytes,
                                        .row_bytes = row_bytes,
                                        .arithmetic = packing.arithmetic,
                                        .tokens = tile.tokens,
                                        .width = tile.vectors * packing.lanes,
                                        .columns = context.layer.cols,
                                        .element_begin = begin,
                                        .element_end = end,
                                        .out = out + tile.x_offset});
}

void multiply_panel(const PackingContext& packing, const Panel& panel, const TokenTile* tiles, int count,
                    const std::byte* x, float* acc) {
  const std::size_t padded_rows =
      formats::round_up(static_cast<std::size_t>(panel.rows), kernels::interleaved_rows);
  for (const Segment& segment : panel.segments) {
    if (segment.format == Format::empty) continue;
    const kernels::Kernel& kernel = *packing.tile[static_cast<std::size_t>(segment.format)];
    const int per = kernels::columns_per_element(packing.arithmetic);
    const std::int64_t first = segment.k_begin / per;
    const std::int64_t elements = formats::elements_of(segment.k_end - segment.k_begin, packing.arithmetic);
    const std::int64_t extent = kernel.k_blocked() ? k_block_elements : elements;
    const std::byte* chunk = packing.packing.data.bytes.data() + segment.offset;
    for (std::int64_t e = 0; e < elements; e += extent) {
      const std::byte* next = chunk;
      for (int t = 0; t < count; ++t) {
        const std::int64_t width = tiles[t].vectors * packing.lanes;
        next = kernel.tile({.chunk = chunk,
                            .rows = panel.rows,
                            .elements = static_cast<int>(std::min(extent, elements - e)),
                            .x = x + tiles[t].x_offset + static_cast<std::size_t>((first + e) * width) * 4,
                            .acc = acc + padded_rows * tiles[t].acc_offset,
                            .vectors = tiles[t].vectors});
      }
      chunk = next;
    }
  }
}

std::size_t tile_workspace(const LayerContext& context, const PackingContext& packing, const Variant& variant,
                           std::int64_t tokens) {
  const Tiling tiling = tiling_for(context, packing, variant, std::min(tokens, pass_tokens));
  const int workers = context.executor.workers();
  return tiling.x_bytes * static_cast<std::size_t>(x_copies(tiling, workers)) +
         acc_bytes(packing, tiling) * static_cast<std::size_t>(workers);
}

void run_tile(const LayerContext& context, const PackingContext& packing, const Variant& variant,
              const RunArgs& args) {
  for (std::int64_t token = 0; token < args.tokens; token += pass_tokens) {
    const std::int64_t tokens = std::min(pass_tokens, args.tokens - token);
    // Only this pass: earlier ones are stored, and their residual may have been what y held.
    if (!TilePass(context, packing, variant, args, token, tokens).run())
      run_exact(context, packing.packing, part_of(args, context, token, tokens));
  }
}

}  // namespace cross::runtime
