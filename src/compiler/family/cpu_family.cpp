// CPUs: row panels cut into segments, dealt to threads.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "compiler/balance/schedule.h"
#include "compiler/family/family.h"
#include "compiler/pack/pack.h"
#include "compiler/reorder/row_order.h"
#include "kernels/table.h"

namespace cross::compiler {
namespace {

class CpuFamily final : public LayerFamily {
 public:
  CpuFamily(const FamilyInputs& in, kernels::Isa isa)
      : in_(in), arithmetic_(kernels::arithmetic_for(in.options.dtype, isa)) {}

  std::string reorder(const MatrixAnalysis& analysis) override {
    panel_rows_ = panel_rows_for(in_.weight.rows, in_.options.threads);
    const RowOrder order = order_rows({analysis.row_nnz, in_.weight.cols, {}}, panel_rows_);
    if (order.chosen == RowOrderPolicy::by_density)
      row_order_.assign(order.permutation.begin(), order.permutation.end());
    return order.reason;
  }

  void count() override {
    natural_ = count_blocks(in_.weight, {}, panel_rows_, arithmetic_, in_.options.threads);
    if (!row_order_.empty())
      sorted_ = count_blocks(in_.weight, row_order_, panel_rows_, arithmetic_, in_.options.threads);
  }

  CandidateSet enumerate(const MatrixAnalysis& analysis) override {
    return enumerate_candidates({.analysis = analysis,
                                 .profile = in_.profile,
                                 .natural = natural_,
                                 .sorted = row_order_.empty() ? nullptr : &sorted_,
                                 .tokens = in_.options.tokens,
                                 .delta = std::clamp(in_.profile.noise(), 0.05, 0.5),
                                 .only = in_.options.format});
  }

  Packing pack(const LayoutCandidate& candidate, std::int64_t& nnz) override {
    const std::span<const std::int32_t> order =
        candidate.sorted ? std::span<const std::int32_t>(row_order_) : std::span<const std::int32_t>();
    return pack_layout(in_.weight, in_.options.dtype, order, candidate.layout, in_.options.threads, nnz);
  }

  Packing pack_dense(std::int64_t& nnz) override {
    return compiler::pack_dense(in_.weight, in_.options.dtype, arithmetic_, nnz);
  }

  std::optional<LayerDecision::Balance> schedule(Variant& variant, const PricedShape& shape) const override {
    return schedule_variant(variant, shape.panel_ns, in_.options.threads, in_.options.policy);
  }

  std::span<const std::int32_t> row_order() const override { return row_order_; }
  std::vector<std::string> libraries() const override { return {"onednn", "openblas"}; }
  std::string dense_arithmetic() const override { return in_.options.dtype == DType::fp32 ? "fp32" : "bf16"; }

  std::string dump_order(const std::string& reason) const override {
    return nlohmann::json({{"panel_rows", panel_rows_}, {"row_order", row_order_}, {"reason", reason}})
        .dump();
  }
  std::string dump_counts() const override {
    return nlohmann::json({{"grid_rows", natural_.grid_rows},
                           {"grid_cols", natural_.grid_cols},
                           {"panel_rows", natural_.panel_rows},
                           {"block_cols", natural_.block_cols},
                           {"nnz", natural_.nnz},
                           {"elements", natural_.elements},
                           {"vectors", natural_.vectors}})
        .dump();
  }

 private:
  FamilyInputs in_;
  kernels::Arithmetic arithmetic_;
  int panel_rows_ = 0;
  std::vector<std::int32_t> row_order_;  ///< empty when natural
  BlockCounts natural_, sorted_;
};

}  // namespace

std::unique_ptr<LayerFamily> make_cpu_family(const FamilyInputs& inputs, kernels::Isa isa) {
  return std::make_unique<CpuFamily>(inputs, isa);
}

}  // namespace cross::compiler
