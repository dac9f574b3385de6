// GPUs: one blob per matrix, whose work is dealt to the SMs when it is packed.
#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "compiler/family/family.h"
#include "compiler/pack/gpu/kept_rows.h"
#include "compiler/pack/gpu/pack_cross_panels.h"
#include "compiler/pack/pack.h"
#include "compiler/select/candidates_gpu.h"
#include "plan/formats/layout.h"

namespace cross::compiler {
namespace {

/// Bytes of a packing with its padding: the one behind it then starts at a multiple of 256 in the file, so
/// that a copy of the file on the GPU can be read in place.
std::size_t padded(std::size_t bytes) { return formats::round_up(bytes + formats::segment_overread, 256); }

class GpuLayerFamily final : public LayerFamily {
 public:
  GpuLayerFamily(const FamilyInputs& in, const GpuFamily& gpu) : in_(in), gpu_(gpu) {}

  std::string reorder(const MatrixAnalysis&) override {
    return "natural: packing deals rows to the SMs by their work";
  }
  void count() override {}

  CandidateSet enumerate(const MatrixAnalysis& analysis) override {
    density_ = analysis.density;
    return enumerate_gpu_candidates({.weight = in_.weight,
                                     .density = analysis.density,
                                     .dtype = in_.options.dtype,
                                     .profile = in_.profile,
                                     .gpu = gpu_,
                                     .tokens = in_.options.tokens,
                                     .only = in_.options.format,
                                     .threads = in_.options.threads});
  }

  Packing pack(const LayoutCandidate& candidate, std::int64_t& nnz) override {
    Packing packing;
    packing.arithmetic = in_.options.dtype == DType::fp32 ? PlanArithmetic::fp32 : PlanArithmetic::mma;
    packing.panels = candidate.layout.panels;
    cross::Segment& segment = packing.panels.at(0).segments.at(0);
    CrossDecision decision;
    std::vector<std::byte> blob = pack_gpu(in_.weight, in_.options.dtype, segment.format,
                                           target_for(segment.format), in_.options.threads, nnz, &decision);
    if (segment.format == Format::cross_panels) cross_ = decision;
    segment.offset = 0;
    segment.bytes = blob.size();
    blob.resize(padded(blob.size()));
    packing.data = Blob::own(std::move(blob));
    return packing;
  }

  Packing pack_dense(std::int64_t& nnz) override {
    const DType dtype = in_.options.dtype;
    if (dtype == DType::fp32) return compiler::pack_dense(in_.weight, dtype, kernels::Arithmetic::fp32, nnz);
    const std::int64_t rows = in_.weight.rows, cols = in_.weight.cols;
    std::vector<std::byte> data(formats::round_up(static_cast<std::size_t>(rows * cols) * 2, 64) +
                                formats::segment_overread);
    std::int64_t kept = 0;
#pragma omp parallel for schedule(static) num_threads(in_.options.threads) reduction(+ : kept)
    for (std::int64_t r = 0; r < rows; ++r)
      for (std::int64_t c = 0; c < cols; ++c) {
        const std::uint16_t bits = half_bits(in_.weight, dtype, r, c);
        std::memcpy(data.data() + static_cast<std::size_t>(r * cols + c) * 2, &bits, 2);
        kept += bits != 0 ? 1 : 0;
      }
    nnz = kept;
    Packing packing;
    packing.arithmetic = PlanArithmetic::mma;
    packing.data = Blob::own(std::move(data));
    return packing;
  }

  std::optional<LayerDecision::Balance> schedule(Variant& variant, const PricedShape&) const override {
    variant.policy = "packed";
    if (variant.shape == "expand") variant.library = "cublaslt";
    return std::nullopt;
  }

  void describe_packing(LayerDecision& decision) const override {
    if (!cross_) return;
    decision.blocks_dense = static_cast<int>(cross_->bands.dense);
    decision.blocks_swing = static_cast<int>(cross_->bands.swing);
    decision.blocks_sparse = static_cast<int>(cross_->bands.sparse);
    decision.blocks_empty = static_cast<int>(cross_->bands.empty);
    decision.row_order += fmt::format(
        "; cross_panels: {} blocks of 128x64 on tensor cores, {} on CUDA cores, predicted loads {:.2f} and "
        "{:.2f} "
        "million clocks a token tile, largest over mean worker {:.2f} with one tile and {:.2f} with eight",
        cross_->tensor_steps, cross_->gathered_steps, cross_->tensor_load / 1e6, cross_->gather_load / 1e6,
        cross_->imbalance.front(), cross_->imbalance.back());
  }

  std::vector<std::string> libraries() const override { return {"cublaslt"}; }
  std::string dense_arithmetic() const override { return in_.options.dtype == DType::fp32 ? "fp32" : "mma"; }
  std::string dump_order(const std::string& reason) const override {
    return nlohmann::json({{"reason", reason}}).dump();
  }
  std::string dump_counts() const override {
    return nlohmann::json({{"density", density_}, {"sms", gpu_.target.sms}}).dump();
  }

 private:
  /// Work is dealt for the largest token count that the packed kernel will run.
  GpuTarget target_for(Format format) const {
    GpuTarget target = gpu_.target;
    const auto most = gpu_.max_tokens.find(format);
    if (most == gpu_.max_tokens.end()) return target;
    std::int64_t largest = 0;
    for (const std::int64_t tokens : in_.options.tokens)
      if (tokens <= most->second) largest = std::max(largest, tokens);
    if (largest > 0) target.tokens = largest;
    if (const auto& units = in_.profile.units) {
      CrossPrices& prices = target.cross.prices;
      prices.tensor_half = units->tensor_half;
      prices.gather_weight = units->gather_weight;
      prices.gather_chunk = units->gather_chunk;
      prices.piece = units->piece;
      prices.dense_slowdown = units->dense_slowdown;
      prices.sparse_slowdown = units->sparse_slowdown;
    }
    return target;
  }

  FamilyInputs in_;
  const GpuFamily& gpu_;
  double density_ = 0;
  std::optional<CrossDecision> cross_;  ///< of the last packing as cross_panels
};

}  // namespace

std::unique_ptr<LayerFamily> make_gpu_family(const FamilyInputs& inputs, const GpuFamily& gpu) {
  return std::make_unique<GpuLayerFamily>(inputs, gpu);
}

}  // namespace cross::compiler
