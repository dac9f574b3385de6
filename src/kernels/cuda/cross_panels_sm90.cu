// Host side of cross_panels: limits, workspace, launch.
#include <cuda_runtime_api.h>

#include <algorithm>
#include <string>

#include "kernels/cuda/cross_panels.cuh"
#include "kernels/cuda/device_limits.h"
#include "kernels/cuda/launch.h"
#include "kernels/cuda/rows.h"
#include "plan/formats/gpu/blob.h"

namespace cross::kernels::cuda {
namespace {

using namespace cross_panels;

CrossPanelsHeader header_of(const PackedMatrix& matrix) {
  return read_header<CrossPanelsHeader>(matrix.host);
}

int tiles_of(std::int64_t tokens) { return static_cast<int>((tokens + cross_tokens - 1) / cross_tokens); }

/// Stages of the two rings in a CTA's shared memory.
struct Stages {
  int steps = 0, chunks = 0;
  std::size_t bytes = 0;
};

Stages stages_for(const CrossPanelsHeader& h, std::size_t shared_bytes) {
  const std::size_t step = planes_bytes + static_cast<std::size_t>(h.step_bytes);
  const std::size_t chunk = h.chunk_bytes > 0 ? window_slot + static_cast<std::size_t>(h.chunk_bytes) : 0;
  const std::size_t fixed = 1024 + control_bytes;
  Stages stages;
  for (const int chunks : {2, 1}) {
    const std::size_t taken = fixed + static_cast<std::size_t>(chunks) * chunk;
    if (taken > shared_bytes) continue;
    const std::size_t steps = std::min<std::size_t>(6, (shared_bytes - taken) / step);
    if (steps < 2) continue;
    stages = {static_cast<int>(steps), chunk > 0 ? chunks : 0, taken + steps * step};
    break;
  }
  return stages;
}

/// Offsets from the start of the workspace.
struct Workspace {
  std::size_t exponents = counter_bytes, planes, columns, gathered, partials, bytes;
  Workspace(const CrossPanelsHeader& h, std::int64_t tokens) {
    const auto tiles = static_cast<std::size_t>(tiles_of(tokens)),
               k_steps = static_cast<std::size_t>(h.k_steps);
    const std::size_t sums = tile_floats * sizeof(float);
    planes = exponents + tiles * cross_tokens * 4;
    columns = planes + tiles * k_steps * planes_bytes;
    gathered = columns + (h.chunk_bytes > 0 ? tiles * tile_groups * k_steps * columns_bytes : 0);
    partials =
        gathered + (h.chunk_bytes > 0 ? 2 * cross_shares * static_cast<std::size_t>(h.workers) * sums : 0);
    bytes = partials + std::size_t{cross_shares} * h.schedules[tiles - 1].slots * sums;
  }
};

std::string refuses(const PackedMatrix& matrix, std::int64_t tokens, std::size_t shared_bytes) {
  if (tokens > cross_tokens * cross_max_tiles) return "cross_panels takes at most 1024 tokens";
  if (stages_for(header_of(matrix), shared_bytes).steps == 0)
    return "cross_panels needs more shared memory than this GPU has";
  return {};
}

std::size_t workspace(const PackedMatrix& matrix, std::int64_t tokens) {
  return tokens < 1 ? 0 : Workspace(header_of(matrix), tokens).bytes;
}

int launch_cross_panels(const PackedMatrix& matrix, const GpuArgs& args) {
  if (args.tokens == 0) return cudaSuccess;
  const CrossPanelsHeader h = header_of(matrix);
  const Stages stages = stages_for(h, device_limits().shared_bytes);
  if (stages.steps == 0) return cudaErrorInvalidConfiguration;
  const int tiles = tiles_of(args.tokens);
  const Workspace at(h, args.tokens);

  SplitParams split;
  split.x = static_cast<const float*>(args.x);
  split.planes = args.workspace + at.planes;
  split.columns = h.chunk_bytes > 0 ? args.workspace + at.columns : nullptr;
  split.exponents = reinterpret_cast<std::int32_t*>(args.workspace + at.exponents);
  split.cols = h.cols;
  split.tokens = static_cast<std::int32_t>(args.tokens);
  split.k_steps = h.k_steps;
  split.token_ctas = tiles * cross_tokens;
  const int transposing =
      h.chunk_bytes > 0 ? (split.tokens + group_tokens - 1) / group_tokens * h.k_steps : 0;
  if (const int error = launch(split_kernel, split.token_ctas + transposing, split_threads, 0, args.stream,
                               args.overlap, split);
      error != cudaSuccess)
    return error;

  Params p;
  p.steps = reinterpret_cast<const CrossStep*>(matrix.device + h.steps);
  p.chunks = reinterpret_cast<const CrossChunk*>(matrix.device + h.chunks);
  p.pieces = reinterpret_cast<const CrossPiece*>(matrix.device + h.piece_list);
  p.worker_pieces = reinterpret_cast<const std::uint32_t*>(matrix.device + h.worker_pieces) +
                    static_cast<std::int64_t>(tiles - 1) * (h.workers + 1);
  p.row_exponents = reinterpret_cast<const std::int32_t*>(matrix.device + h.exponents);
  p.values = matrix.device + h.values;
  p.planes = split.planes;
  p.columns = split.columns;
  p.token_exponents = split.exponents;
  p.gathered = reinterpret_cast<float*>(args.workspace + at.gathered);
  p.partials = reinterpret_cast<float4*>(args.workspace + at.partials);
  p.counters = reinterpret_cast<std::uint32_t*>(args.workspace);
  p.stamps = reinterpret_cast<unsigned long long*>(args.worker_stamps);
  p.x = split.x;
  p.epilogue = {static_cast<float*>(args.y), args.bias, static_cast<const float*>(args.residual), h.rows,
                args.activation};
  p.cols = h.cols;
  p.tokens = split.tokens;
  p.k_steps = h.k_steps;
  p.step_stages = stages.steps;
  p.chunk_stages = stages.chunks;
  p.step_bytes = static_cast<std::uint32_t>(h.step_bytes);
  p.chunk_bytes = static_cast<std::uint32_t>(h.chunk_bytes);
  // It waits for the split itself, and for what the split waited for.
  return launch_in_clusters(kernel, cross_shares * h.workers, cross_shares, threads, stages.bytes,
                            args.stream, true, p);
}

}  // namespace

GpuKernel cross_panels_sm90() {
  return {Format::cross_panels, "sm90", cross_tokens * cross_max_tiles, refuses, workspace,
          launch_cross_panels,  nullptr};
}

}  // namespace cross::kernels::cuda
