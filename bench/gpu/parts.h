// The parts of bench_gpu. Each prints a table and returns what it measured.
#pragma once

#include <algorithm>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "cuda/replay.h"
#include "gpu/contest.h"

namespace cross_bench {

struct PartOptions {
  std::vector<std::int64_t> tokens;    ///< empty: the part's own
  std::vector<double> sparsities;      ///< the same
  std::vector<cross::Format> formats;  ///< the same
  bool all = false;                    ///< every token count and sparsity of the part's table
  std::string dtype = "bf16";
  std::string profile;             ///< regret: prices to choose by; empty: as `compile` finds them
  std::string plot;                ///< breakeven: an SVG file, or empty
  std::vector<std::string> files;  ///< regret: .smtx patterns
  int threads = 0;
  std::uint64_t seed = 1;
  double seconds = 0.03;  ///< per contest
  double burst = 0;       ///< seconds of one sample at many tokens; 0: as `burst_for` says

  double burst_for(std::int64_t of_tokens) const {
    return burst > 0 ? burst : std::max(cross::cuda::short_sample, cross::cuda::sample_seconds(of_tokens));
  }
  /// Where all sides are ours, or the figure is none of speed: half of a short one.
  double short_burst() const { return (burst > 0 ? burst : cross::cuda::short_sample) / 2; }

  cross::DType type() const {
    return dtype == "fp32" ? cross::DType::fp32 : dtype == "fp16" ? cross::DType::fp16 : cross::DType::bf16;
  }
};

/// Sum over Llama-2-7B's products for i.i.d. masks, against cuBLASLt: the project's target table.
nlohmann::json decode_part(Arena& arena, const PartOptions& options);
/// 2:4, 3:4 and 1:4 masks on the same shapes, against cuBLASLt and against the bytes that they take.
nlohmann::json n_m_part(Arena& arena, const PartOptions& options);
/// Masks whose 128×128 regions differ, against i.i.d. masks of the same mean.
nlohmann::json regions_part(Arena& arena, const PartOptions& options);
/// Speed-up over cuBLASLt against sparsity on BERT-base's shapes, ours and cuSPARSE's, fp16 and fp32.
nlohmann::json breakeven_part(Arena& arena, const PartOptions& options);
/// What choosing by prices alone costs on patterns that calibration never saw.
nlohmann::json regret_part(Arena& arena, const PartOptions& options);
/// Host time of a product that is enqueued, not captured.
nlohmann::json host_part(Arena& arena, const PartOptions& options);

/// Many tokens: sums over Llama-2-7B's products for i.i.d. masks, by any plan and from one compressed copy,
/// and masks whose regions differ.
nlohmann::json prefill_part(Arena& arena, const PartOptions& options);
/// Exact 2:4 masks at many tokens, against cuBLASLt and cuSPARSELt.
nlohmann::json two_four_part(Arena& arena, const PartOptions& options);
/// Masks whose square blocks are whole or empty.
nlohmann::json block_part(Arena& arena, const PartOptions& options);
/// fp32 at 256 to 1024 tokens, against cuBLASLt in true fp32.
nlohmann::json fp32_part(Arena& arena, const PartOptions& options);
/// Patterns of trained networks at 256 tokens, fp32 and bf16.
nlohmann::json dlmc_part(Arena& arena, const PartOptions& options);

/// CROSS's first study: a product of 256x256x256, batch 10, on either unit over sparsity; bands.
nlohmann::json bands_part(Arena& arena, const PartOptions& options);
/// CROSS's second study: batch sizes and policies, predicted against measured imbalance; what each step is
/// worth.
nlohmann::json balance_part(Arena& arena, const PartOptions& options);

/// Packs the weights of `makers` one ahead of the contests that `use` runs on them, so that cores and GPU
/// work at the same time.
void pipelined(Arena& arena, const std::vector<std::function<Weight()>>& makers, const PackWhat& what,
               int threads, const std::function<void(std::size_t, const PackedForms&)>& use);

nlohmann::json json_of(const Contest& contest);

/// The part's own, unless the options name some.
template <class T>
std::vector<T> either(const std::vector<T>& asked, std::vector<T> own) {
  return asked.empty() ? own : asked;
}

}  // namespace cross_bench
