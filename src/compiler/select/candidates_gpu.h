// Enumerate → drop with a reason → price, for the CUDA device family: whole matrices in one format each.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "compiler/family/family.h"

namespace cross::compiler {

struct GpuCandidateInputs {
  const MatrixView& weight;
  double density = 0;
  DType dtype = DType::bf16;
  const CostProfile& profile;
  const GpuFamily& gpu;
  std::vector<std::int64_t> tokens;
  std::string only = "auto";  ///< a format name, "dense", or "auto"
  int threads = 1;
};

/// Profiles name what this prices:
///
///     FORMAT.decode    the packed kernel for few tokens, per token count
///     FORMAT.prefill   the packed kernel for many tokens, per token count
///     FORMAT.expand    writing the dense matrix to a scratch buffer, whatever the token count; a run at many
///                      tokens costs that and dense.cublaslt
///
/// A format that cannot run some token count is dropped: a plan must run them all from one copy.
CandidateSet enumerate_gpu_candidates(const GpuCandidateInputs& inputs);

/// What of a matrix sets the time of a format, and whether it can win at all.
struct GpuWorth {
  std::optional<double> density;  ///< at which its prices are looked up; none: the matrix's own
  std::string never_pays;  ///< why it loses to another format or to dense whatever the prices say, or empty
};
/// Of a format that can hold the matrix.
GpuWorth gpu_worth(const MatrixView& weight, DType dtype, Format format, int threads);

/// Predicted µs of a shape ("decode", "prefill" or "expand") of `format` at `tokens`; nullopt without a price
/// or kernel.
std::optional<double> gpu_shape_us(const GpuCandidateInputs& inputs, Format format, std::string_view shape,
                                   std::int64_t tokens);

}  // namespace cross::compiler
