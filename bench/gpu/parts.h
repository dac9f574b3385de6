// The parts of bench_gpu. Each prints a table and returns what it measured.
#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "gpu/contest.h"

namespace cross_bench {

struct PartOptions {
  std::vector<std::int64_t> tokens;  ///< empty: the part's own
  std::vector<double> sparsities;    ///< the same
  std::string dtype = "bf16";
  std::string profile;             ///< regret: prices to choose by; empty: as `compile` finds them
  std::string plot;                ///< breakeven: an SVG file, or empty
  std::vector<std::string> files;  ///< regret: .smtx patterns
  int threads = 0;
  std::uint64_t seed = 1;
  double seconds = 0.03;  ///< per contest

  cross::DType type() const { return dtype == "fp16" ? cross::DType::fp16 : cross::DType::bf16; }
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

/// Packs the weights of `makers` one ahead of the contests that `use` runs on them, so that cores and GPU
/// work at the same time.
void pipelined(Arena& arena, const std::vector<std::function<Weight()>>& makers,
               const std::vector<std::int64_t>& tokens, int threads,
               const std::function<void(std::size_t, const PackedForms&)>& use);

nlohmann::json json_of(const Contest& contest);

}  // namespace cross_bench
