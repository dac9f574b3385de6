// Packs a weight and runs one kernel of the table on it, the way the runtime does but in one piece.
#pragma once

#include <vector>

#include "kernels/cpu/activations.h"
#include "kernels/table.h"
#include "plan/formats/layout.h"
#include "support/sparse_matrix.h"

namespace cross::kernels::testing {

using cross::testing::Array;
using cross::testing::Values;

/// Kernels that this CPU and build can execute: every row of the table up to active_isa().
std::vector<const Kernel*> runnable_kernels();

/// What packs activations for kernels of `isa`.
const ActivationKernels& activations_for(Isa isa);

/// n_m's parameters; zeros for other formats.
struct KeepOf {
  int keep = 0;
  int group = 0;
};

/// The whole of `weight` as one segment of `format`.
formats::SegmentShape shape_of(const Array& weight, Format format, Arithmetic arithmetic, KeepOf n_m = {});
std::vector<std::byte> pack(const Array& weight, const formats::SegmentShape& shape);

/// What a kernel left: its accumulators as [tokens][rows], and the end that tile kernels return.
struct KernelResult {
  std::vector<float> y;
  const std::byte* end = nullptr;
};
/// Runs `kernel` on a packed segment, which segment_overread bytes must follow.
KernelResult run_packed(const Kernel& kernel, const std::byte* segment, const formats::SegmentShape& shape,
                        const Array& x, int vectors = 0, float initial = 0.0f);

/// W·x for tokens (rows) of `x` through `kernel`, as [tokens][rows], added to `initial` in every position.
/// Tile kernels use a tile of `vectors` vectors (0: the narrowest that holds the tokens). Weights,
/// activations and accumulators each end at a guard page, the weights 64 bytes (segment_overread) before it.
std::vector<float> run_kernel(const Kernel& kernel, const Array& weight, const Array& x, KeepOf n_m = {},
                              int vectors = 0, float initial = 0.0f);

}  // namespace cross::kernels::testing
