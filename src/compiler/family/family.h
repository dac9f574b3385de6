// The seam between the stages of one layer and the device they compile for: what a device family can store,
// how it counts, prices, packs and schedules. compile_layer.cpp asks these questions in the pipeline's order;
// a device family answers them.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "compiler/pack/gpu/pack_gpu.h"
#include "compiler/select/candidates.h"
#include "cross/compile.h"
#include "cross/matrix.h"
#include "kernels/isa.h"

namespace cross::compiler {

class LayerFamily {
 public:
  virtual ~LayerFamily() = default;

  /// reorder: which rows stand together; returns what was done and why.
  virtual std::string reorder(const MatrixAnalysis& analysis) = 0;
  /// cost: counts per block, as far as prices need them.
  virtual void count() = 0;
  /// partition and select: every way of storing the layer, priced or dropped with a reason.
  virtual CandidateSet enumerate(const MatrixAnalysis& analysis) = 0;
  /// pack: the candidate's bytes. @param nnz receives the number of kept weights.
  virtual Packing pack(const LayoutCandidate& candidate, std::int64_t& nnz) = 0;
  virtual Packing pack_dense(std::int64_t& nnz) = 0;
  /// balance: completes a variant whose tokens and shape are set. nullopt where work is dealt when it is
  /// packed.
  virtual std::optional<LayerDecision::Balance> schedule(Variant& variant,
                                                         const PricedShape& shape) const = 0;

  /// Adds to what `explain` shows what packing itself decided.
  virtual void describe_packing(LayerDecision& decision) const { (void)decision; }

  /// Packed row → row of W for candidates that are `sorted`.
  virtual std::span<const std::int32_t> row_order() const { return {}; }
  /// Dense libraries that a profile may hold, and the arithmetic that their prices stand under.
  virtual std::vector<std::string> libraries() const = 0;
  virtual std::string dense_arithmetic() const = 0;

  // What --dump-stage shows, as JSON.
  virtual std::string dump_order(const std::string& reason) const = 0;
  virtual std::string dump_counts() const = 0;
};

/// A GPU as the compiler sees it.
struct GpuFamily {
  GpuTarget target;
  std::map<Format, std::int64_t> max_tokens;  ///< of the packed kernels that this GPU has
};

/// What a family works on; all of it must outlive the family.
struct FamilyInputs {
  const MatrixView& weight;
  const CompileOptions& options;
  const CostProfile& profile;
};

std::unique_ptr<LayerFamily> make_cpu_family(const FamilyInputs& inputs, kernels::Isa isa);
std::unique_ptr<LayerFamily> make_gpu_family(const FamilyInputs& inputs, const GpuFamily& gpu);

}  // namespace cross::compiler
