// The ways a layer can run; session.cpp picks one per call.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "cross/session.h"
#include "kernels/cpu/activations.h"
#include "kernels/table.h"
#include "runtime/tiling.h"

namespace cross::runtime {

/// What a run needs besides its arguments.
struct LayerContext {
  const LayerPlan& layer;
  DType dtype;
  Executor& executor;
  const kernels::ActivationKernels& activations;
  std::span<const float> packed_bias;   ///< in packed row order; empty when the layer has none
  std::vector<double>* worker_seconds;  ///< per worker, or nullptr
};

/// Everything about one stored packing that does not depend on the call.
struct PackingContext {
  const Packing& packing;
  kernels::Arithmetic arithmetic;
  const kernels::Kernel* tile[8] = {};  ///< per Format
  const kernels::Kernel* dot[8] = {};
  int lanes = 1;
  int most_rows = 0;  ///< of any panel, rounded up to interleaved_rows
  /// Where rows stand when one worker runs all panels of a tile: panel by panel, each rounded up as above.
  std::vector<std::int32_t> panel_begin = {};  ///< per panel, and the height of all
  std::vector<std::int32_t> acc_rows = {};     ///< of every output; empty: output r stands at r
};

PackingContext make_packing_context(const LayerPlan& layer, const Packing& packing);

std::size_t tile_workspace(const LayerContext& context, const PackingContext& packing, const Variant& variant,
                           std::int64_t tokens);
/// Tokens whose pass holds Inf or NaN take the exact path.
void run_tile(const LayerContext& context, const PackingContext& packing, const Variant& variant,
              const RunArgs& args);

/// How many tokens make it worth while to share out tokens instead of panels (policy "by_token"), and whether
/// whole tiles of them fill the workers.
bool deals_tokens(const Variant& variant, std::int64_t tokens, int workers);

/// One product of a chain: the results of each are the activations of the next, which has as many columns and
/// the same arithmetic.
struct ChainLink {
  const LayerContext& context;
  const PackingContext& packing;
  Activation activation;
  bool bias;
};

/// Every worker takes whole tiles of tokens through all panels of one product, or of a chain of two: what it
/// reads between packing x and storing y was written by itself, and the weights are the only thing that
/// workers share.
std::size_t by_token_workspace(std::span<const ChainLink> chain, std::int64_t tokens);
/// `args`: x of the first, y and residual of the last. Tokens whose tile holds Inf or NaN take the exact
/// path.
void run_by_token(std::span<const ChainLink> chain, const RunArgs& args);

std::size_t dot_workspace(const LayerContext& context, const PackingContext& packing, std::int64_t tokens);
/// As run_tile.
void run_dot(const LayerContext& context, const PackingContext& packing, const Variant& variant,
             const RunArgs& args);

/// Tokens [first, first + tokens) of a call.
RunArgs part_of(const RunArgs& args, const LayerContext& context, std::int64_t first, std::int64_t tokens);

/// acc[r, t] += Σ_k W[r, k]·x[k, t] for the rows of one panel and `count` tiles of one item.
void multiply_panel(const PackingContext& packing, const Panel& panel, const TokenTile* tiles, int count,
                    const std::byte* x, float* acc);
/// Elements [begin, end) of one tile; false if it holds Inf or NaN.
bool pack_tile(const LayerContext& context, const PackingContext& packing, const TokenTile& tile,
               const std::byte* x, std::int64_t begin, std::int64_t end, std::byte* out);

/// Skips every pruned position whatever x holds; slow, by decoding. Serves dense packings too.
void run_exact(const LayerContext& context, const Packing& packing, const RunArgs& args);

/// Worker w of `workers` runs the planned workers w, w + workers, …: any number of threads executes any plan.
template <class Function>
void for_each_piece(const Variant& variant, int worker, int workers, int items, Function function) {
  const auto planned = static_cast<int>(variant.schedule.size());
  for (int first = 0; first < items; first += variant.scheduled_items)
    for (int w = worker; w < planned; w += workers)
      for (const PlanPiece& piece : variant.schedule[static_cast<std::size_t>(w)])
        if (first + piece.item < items) function(first + piece.item, piece.panel);
}

}  // namespace cross::runtime
