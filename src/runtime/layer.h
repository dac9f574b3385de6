// The ways a layer can run; session.cpp picks one per call.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "cross/session.h"
#include "kernels/cpu/activations.h"
#include "kernels/table.h"

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
};

PackingContext make_packing_context(const Packing& packing);

std::size_t tile_workspace(const LayerContext& context, const PackingContext& packing, const Variant& variant,
                           std::int64_t tokens);
/// Tokens whose pass holds Inf or NaN take the exact path.
void run_tile(const LayerContext& context, const PackingContext& packing, const Variant& variant,
              const RunArgs& args);

std::size_t dot_workspace(const LayerContext& context, const PackingContext& packing, std::int64_t tokens);
/// As run_tile.
void run_dot(const LayerContext& context, const PackingContext& packing, const Variant& variant,
             const RunArgs& args);

/// Tokens [first, first + tokens) of a call.
RunArgs part_of(const RunArgs& args, const LayerContext& context, std::int64_t first, std::int64_t tokens);

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
